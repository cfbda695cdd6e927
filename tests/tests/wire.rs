//! What a peer may write that no library writes: each side against raw HTTP/2.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "the functions that tests share may fail a test too")]

#[path = "wire/callbacks.rs"]
mod callbacks;
#[path = "wire/headers.rs"]
mod headers;
#[path = "wire/lengths.rs"]
mod lengths;
#[path = "wire/panics.rs"]
mod panics;
#[path = "wire/silence.rs"]
mod silence;
#[path = "wire/support.rs"]
mod support;
