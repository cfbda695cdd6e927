//! HTTP/2 upon streams: serving gRPC on those that come in, and a [`PluginChannel`] upon those that go out.

mod answer;
mod blocks;
mod broken;
mod call;
mod channel;
mod checked;
mod connect;
mod connection;
mod deadline;
mod gather;
mod linger;
mod link;
mod response;
mod scan;
mod serve;
mod settings;
mod tonic_channel;
mod upload;

pub(crate) use answer::panicked;
pub use broken::is_broken_connection;
pub use channel::{CallFuture, Choose, Explain, PluginChannel};
pub use connect::{Connect, ConnectError, connect, connect_lazy};
pub use gather::Gathered;
pub use response::ResponseBody;
pub use serve::{Serving, serve};
pub use settings::{Keepalive, Settings};
