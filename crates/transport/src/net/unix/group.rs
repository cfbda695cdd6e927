//! The group that may connect to a socket.

use super::error::SocketDirError;
use crate::os::groups;

/// The group that may connect to a socket, besides the owner of the socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SocketGroup(u32);

impl SocketGroup {
    /// Finds a group by its number or its name. Digits are always a number, as in go-plugin.
    ///
    /// # Errors
    /// [`SocketDirError::UnknownGroup`].
    pub fn find(group: &str) -> Result<Self, SocketDirError> {
        if let Ok(number) = group.parse() {
            return Ok(Self(number));
        }
        let unknown = |source| SocketDirError::UnknownGroup { group: group.to_owned(), source };
        let found = groups::find(group).map_err(|error| unknown(Some(error)))?;
        found.map(Self).ok_or_else(|| unknown(None))
    }

    pub(crate) fn number(self) -> u32 {
        self.0
    }
}
