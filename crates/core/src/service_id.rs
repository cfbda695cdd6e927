//! The numbers of brokered services.

use std::fmt;

/// The number of a brokered service: one side serves under it, and the other side dials it.
///
/// Each side has numbers of its own: the host's service 1 and the plugin's service 1 are different services.
///
/// # Protocol
/// `ConnInfo.service_id`, a `uint32`; go-plugin counts from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServiceId(pub u32);

impl fmt::Display for ServiceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl From<u32> for ServiceId {
    fn from(id: u32) -> Self {
        Self(id)
    }
}

impl From<ServiceId> for u32 {
    fn from(id: ServiceId) -> Self {
        id.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_id_is_its_number() {
        let id = ServiceId::from(7);
        assert_eq!((u32::from(id), id.to_string()), (7, "7".to_owned()));
    }
}
