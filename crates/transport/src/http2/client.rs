//! The client side: connections, calls, and the channel for generated clients.

mod any_body;
mod call;
mod channel;
mod connect;
mod connection;
mod error_status;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
mod open;
mod peer;
mod reason;
mod reconnect;
mod response;
mod status_details;
#[cfg(feature = "tonic-channel")]
mod tonic_channel;
mod upload;
mod wire;

pub use any_body::{AnyBodyChannel, AnyBodyFuture, InfallibleBody};
pub use call::CallFuture;
pub use channel::{Choose, PluginChannel};
pub use connect::{ChannelError, Connect};
pub use error_status::is_broken_connection;
pub use open::{connect, connect_lazy};
pub use peer::Explain;
pub use response::ResponseBody;
