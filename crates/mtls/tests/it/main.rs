//! Handshakes in memory, between this crate and peers that do things differently.
#![expect(clippy::unwrap_used, reason = "the functions that tests share may fail a test too")]

mod crosswise;
mod identity;
mod parties;
mod pem;
mod pinned;
mod properties;
mod roots;
