//! HTTP/2 over streams: serving gRPC on incoming streams, and a [`PluginChannel`] over outgoing streams.

mod client;
mod presence;
mod server;
mod settings;

pub use crate::call::IncomingBody;
#[cfg(feature = "fuzzing")]
pub(crate) use client::fuzzing;
pub use client::{
    AnyBodyChannel, AnyBodyFuture, CallFuture, ChannelError, Choose, Connect, Explain, InfallibleBody,
    PluginChannel, ResponseBody, connect, connect_lazy, is_broken_connection,
};
pub use presence::Presence;
pub use server::{Serving, serve};
pub use settings::{Keepalive, Lane, Settings};
