//! Secured byte streams between a host and a plugin, and HTTP/2 connections over them.
//!
//! From the ground up:
//!
//! - An [`Endpoint`](rpcplugin_core::Endpoint) is [bound](Listener) or [connected to](dial), which gives a raw [`Stream`].
//! - [`Security`] turns a raw stream into a [`SecureStream`]: both sides are authenticated, or neither side is.
//! - [`serve`](http2::serve) and [`connect`](http2::connect) speak HTTP/2 on secured streams, and a [`Meter`] counts
//!   their traffic.
//! - [`Services`] are the gRPC services of one server.
//! - [`yamux`] carries many streams over one.
//!
//! This crate owns socket files. It makes them in private directories, does not replace sockets in use, and removes its
//! own socket files and those of ended processes. It starts no process and reads no handshake line. Its error texts and
//! help texts speak of host and plugin, because users of this library have these.
//!
//! This crate is a part of `rpcplugin`, and its API is that of the modules there.
//!
//! The crate can be used alone, without a promise: its API may change with any release. The stable names of its items are in
//! `rpcplugin::transport` and `rpcplugin::telemetry`.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod awake;
mod call;
mod cleanup;
mod frames;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
pub mod http2;
mod io;
mod lane;
mod meter;
mod net;
mod os;
mod service;
mod tls;

pub use cleanup::remove_sockets;
pub use lane::LANE_VERSION;
pub use meter::{ConnectionKind, ConnectionTraffic, Meter, Traffic};
pub use net::{
    BindError, ConnectError, Dial, Dialer, InheritedConnection, InheritedOffer, InheritedStdout, Io, Listen,
    Listener, PendingConnection, ProcessRecord, SocketDir, SocketDirError, SocketGroup, Stream, dial,
    remove_empty_dir, remove_orphaned_dir, remove_stale_socket,
};
pub use os::*;
pub use rpcplugin_yamux as yamux;
pub use service::{
    MessageLimits, Route, ServiceLayer, ServiceLayers, Services, TraceCalls, TraceServices, TracedCalls,
    TracedService, current_trace, in_trace,
};
pub use tls::{SecureError, SecureStream, Security, speaks_tls};
