//! Many byte streams over one connection: yamux, as HashiCorp's Go implementation speaks it.
//!
//! A [`Session`] runs over any tokio `AsyncRead + AsyncWrite`. Each of its [`Stream`]s is a byte stream with flow
//! control of its own.
//!
//! go-plugin runs its multiplexed broker over yamux. The host is the yamux client and opens streams with odd ids, the
//! plugin is the server and opens streams with even ids, and every gRPC connection is one stream. This crate speaks the
//! same protocol, version 0. It knows nothing else of go-plugin, and opens no connection itself.
//!
//! This crate is a part of `rpcplugin`, and its API is that of the modules there.
//!
//! From the ground up:
//!
//! - `frame` encodes and decodes the 12-byte header.
//! - `state` is the protocol as a state machine, without I/O and without a clock of its own.
//! - `driver` is the task that owns the connection and moves bytes between the connection and the state machine.
//! - [`Session`] and [`Stream`] are what applications use.
//!
//! Invariants:
//! - A stream's opening frame is on the wire when [`Session::open`] returns. Streams reach the wire in the order in
//!   which they were opened.
//! - A slow reader holds up its own stream only. A blocked write stops reading only when 1024 replies wait for it.
//! - A peer can make this side hold no more than each stream's receive window, plus a bounded number of small frames.
//! - No stream sends FIN twice: the Go implementation ends the whole session when that happens.
//!
//! # Protocol
//! hashicorp/yamux v0.1.2, `spec.md`, `session.go` and `stream.go`.
//!
//! Differs:
//! - The close timeout applies only to streams that the application has dropped, not to streams that it has shut down
//!   and still reads.
//! - A stream that the peer does not acknowledge does not end the session.
//! - The end of a session sends a go-away frame before the connection is closed.
//!
//! The crate can be used alone, without a promise: its API may change with any release. The stable names of its items are in
//! `rpcplugin::transport::yamux`.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod batch;
mod config;
mod driver;
mod error;
mod frame;
mod session;
mod shared;
mod state;
mod stream;
#[cfg(test)]
mod tests;

pub use config::Config;
pub use error::{Error, ProtocolError};
pub use session::{Closer, Session};
pub use stream::Stream;
