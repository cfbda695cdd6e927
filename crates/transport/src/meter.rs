//! Counts what passes over connections: bytes, and gRPC messages.

mod connection;
mod counts;
mod lane;

pub(crate) use connection::{Metered, PeerActivity, client, server};
pub use counts::{ConnectionKind, ConnectionTraffic, Meter, Traffic};
pub(crate) use lane::LaneCounts;
