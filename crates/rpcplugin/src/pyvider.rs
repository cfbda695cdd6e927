//! A host and a plugin by the names that pyvider.rpcplugin gives them, for programs that move from Python.
//!
//! Each function is a short way to [`Host`](crate::Host) or [`Serve`](crate::Serve), and takes what these take. The
//! defaults are the same. Arguments that pyvider accepts and ignores do not exist here.

#[cfg(feature = "client")]
mod client;
#[cfg(feature = "server")]
mod server;

#[cfg(feature = "client")]
pub use client::{PluginClient, plugin_client, with_plugin};
#[cfg(feature = "server")]
pub use server::{FnProtocol, ServerTransport, basic_protocol, plugin_protocol, plugin_server};
