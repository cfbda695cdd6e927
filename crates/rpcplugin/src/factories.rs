//! Hosts and plugins in one call, by the names that pyvider gives them.
//!
//! Each is a thin way to [`Host`](crate::Host) and [`Serve`](crate::Serve), which can do more. The arguments mean what
//! they mean there, and the defaults are the same; what pyvider accepts and ignores is no argument here.

#[cfg(feature = "client")]
mod client;
#[cfg(feature = "server")]
mod server;

#[cfg(feature = "client")]
pub use client::{PluginClient, plugin_client, with_plugin};
#[cfg(feature = "server")]
pub use server::{FnProtocol, ServerTransport, basic_protocol, plugin_protocol, plugin_server};
