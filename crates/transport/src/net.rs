//! Raw streams between processes: sockets, where they are bound, and how they are connected to.

mod dial;
mod inherited;
mod listener;
mod pending;
mod stream;
mod unix;

pub use dial::{ConnectError, Dial, Dialer, dial};
pub use inherited::{InheritedConnection, InheritedOffer, InheritedStdout};
pub use listener::{BindError, Listen, Listener};
pub use pending::PendingConnection;
pub use stream::{Io, Stream};
pub use unix::{
    ProcessRecord, SocketDir, SocketDirError, SocketGroup, remove_empty_dir, remove_orphaned_dir,
    remove_stale_socket,
};
