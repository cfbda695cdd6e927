//! A secured byte stream to or from an endpoint, and the HTTP/2 connections upon it.
//!
//! From the ground up: an [`Endpoint`](rpcplugin_core::Endpoint) is [bound](Listener) or [dialled](dial), which
//! gives a raw [`Stream`]; [`Security`] turns that into a [`SecureStream`], with both sides authenticated or none;
//! [`serve`](http2::serve) and [`connect`](http2::connect) speak HTTP/2 on it. [`yamux`] puts many streams on one.
//!
//! This crate owns socket files: it makes them in private directories, never takes over somebody else's, and removes
//! its own, and those that processes which are gone have left. It launches no process and reads no handshake line.

mod at_exit;
mod authority;
mod dial;
mod fd;
pub mod http2;
mod listener;
mod meter;
mod newcomers;
mod owner;
mod security;
mod services;
mod socket;
mod stream;
mod sweep;
mod trace;

pub use at_exit::remove_sockets;
pub use dial::{DialError, dial};
pub use fd::async_fd;
pub use listener::{BindError, Listen, Listener};
pub use meter::{ConnectionKind, ConnectionTraffic, Meter, Traffic};
pub use newcomers::Newcomer;
pub use owner::start_time;
pub use rpcplugin_yamux as yamux;
pub use security::{SecureError, Security, speaks_tls};
pub use services::{MessageLimits, Route, ServiceLayer, ServiceLayers, Services};
pub use socket::{SocketDir, SocketDirError, SocketGroup, remove_empty_dir, remove_stale_socket};
pub use stream::{Io, SecureStream, Stream};
pub use trace::{TraceCalls, TraceServices, TracedCalls, TracedService, current_trace, in_trace};
