//! HTTP/2 upon streams: serving gRPC on those that come in, and a [`Channel`](tonic::transport::Channel) upon those
//! that go out.

mod answer;
mod blocks;
mod checked;
mod connect;
mod gather;
mod linger;
mod scan;
mod serve;
mod settings;

pub(crate) use answer::panicked;
pub use checked::{CheckedChannel, drop_malformed_details};
pub use connect::{Connect, ConnectError, connect, connect_lazy};
pub use gather::Gathered;
pub use serve::{Serving, serve};
pub use settings::{Keepalive, Settings};
