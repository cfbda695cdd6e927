//! HTTP/2 over streams: serving gRPC on incoming streams, and a [`PluginChannel`] over outgoing streams.

mod client;
mod incoming;
mod message_scan;
mod presence;
mod server;
mod settings;
mod timeout;

pub use client::{
    AnyBodyChannel, AnyBodyFuture, CallFuture, ChannelError, Choose, Connect, Explain, InfallibleBody,
    PluginChannel, ResponseBody, connect, connect_lazy, is_broken_connection,
};
pub use incoming::IncomingBody;
pub use presence::Presence;
pub use server::{Serving, serve};
pub use settings::{Keepalive, Settings};
