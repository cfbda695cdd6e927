//! Handshakes in memory with peers that do not use this crate's settings.
#![expect(clippy::unwrap_used, reason = "the functions that tests share may fail a test too")]

mod crosswise;
mod identity;
mod parties;
mod pem;
mod pinned;
mod properties;
mod roots;
