//! An entry of a lock file.

use crate::sandbox::Grants;

/// A trusted plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    /// The digest of the program's file, in hexadecimal.
    pub(crate) sha256: String,
    /// What the plugin may do. `None` for a plugin without a sandbox.
    pub(crate) sandbox: Option<Grants>,
}
