//! Numbers of brokered services.

use std::fmt;

/// The number under which one side serves on a brokered connection and the other dials it.
///
/// Each side counts its own: the host's service 1 and the plugin's service 1 have nothing to do with each other.
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
