//! Where the plugin listens, and what hands over the connections of hosts.

mod address;
mod custom;
mod multiplexed;
mod socket_dirs;

pub use custom::CustomTransport;

pub(crate) use self::{
    address::{Listening, listen},
    custom::{AnyListener, AnyTransport, any},
    multiplexed::MuxListener,
    socket_dirs::{SocketDirs, remove_orphaned_dir},
};
