//! Each side against raw HTTP/2, with input that no library sends.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

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
