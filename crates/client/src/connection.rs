//! The connection with a plugin: how it is secured, opened and checked, and which of the host's services it reaches.

pub(crate) mod health;
pub(crate) mod host_services;
pub(crate) mod metadata;
pub(crate) mod open;
pub(crate) mod reflection;
pub(crate) mod route;
pub(crate) mod security;
pub(crate) mod socket_dir;

pub use self::host_services::CallingPlugin;
