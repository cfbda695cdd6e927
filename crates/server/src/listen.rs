//! Listening: addresses, custom transports, and the connection of a multiplexing host.

mod address;
mod custom;
mod multiplexed;
mod socket_dirs;

pub use custom::CustomTransport;

pub(crate) use self::{
    address::{Listening, listen, listen_inherited, may_inherit},
    custom::{AnyListener, AnyTransport, any},
    multiplexed::MuxListener,
    socket_dirs::{SocketDirs, remove_orphaned_dir},
};
