//! Many byte streams over one connection: yamux, as HashiCorp's Go implementation speaks it.
//!
//! go-plugin runs its multiplexed broker over yamux: the host is the yamux client (odd stream ids), the plugin the
//! server (even ids), and every gRPC connection is one stream. This module speaks the same protocol, version 0:
//!
//! - `frame`: the 12-byte header, values in and bytes out.
//! - `session`: the protocol as a state machine without I/O and without a clock of its own.
//! - `driver`: the task that owns the connection and moves bytes between it and the state machine.
//! - [`Session`] and [`Stream`]: what the rest of the house uses.
//!
//! Invariants:
//! - A stream's opening frame is on the wire when [`Session::open`] returns, and streams reach the wire in the order
//!   in which they were opened.
//! - A slow reader holds up its own stream only; a blocked write stops reading only when a thousand answers wait for it.
//! - A peer can make this side hold no more than each stream's receive window, plus a bounded number of small frames.
//! - No stream sends its end twice: the Go implementation gives up the whole session when that happens.
//!
//! # Protocol
//! hashicorp/yamux v0.1.2, `spec.md`, `session.go` and `stream.go`.
//!
//! Differs: a stream that the application shut down and still reads is never timed out here, only one that it dropped;
//! an opened stream that the peer leaves unacknowledged does not end the session; ending the session sends a go-away
//! frame before the connection is closed.

mod config;
mod driver;
mod error;
mod frame;
mod handle;
mod session;
mod stream;
#[cfg(test)]
mod tests;

pub use self::config::Config;
pub use self::error::{Error, ProtocolError};
pub use self::handle::{Closer, Session};
pub use self::stream::Stream;
