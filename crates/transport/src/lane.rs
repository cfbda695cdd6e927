//! The lane: calls between two ends of this library, with frames of its own in place of HTTP/2.
//!
//! It carries what HTTP/2 carries for gRPC: a path and headers, data, trailers, resets, credits and an orderly end. What gRPC puts
//! into these is the same on both. `docs/protocol.md` specifies the bytes.

mod call;
mod client;
mod connection;
mod core;
mod credit;
mod error;
mod frame;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod handles;
mod headers;
mod limits;
mod magic;
mod malformed;
mod messages;
mod output;
mod server;

pub(crate) use client::{LaneClient, LanePings, LaneResponse, open};
pub(crate) use error::LaneError;
pub(crate) use handles::{LaneRecv, LaneSend};
pub(crate) use limits::Limits;

pub use magic::LANE_VERSION;
pub(crate) use magic::{Beginning, MAGIC, beginning};
pub(crate) use server::LaneServer;
