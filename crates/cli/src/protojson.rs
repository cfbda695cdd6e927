//! Messages as JSON, after the rules of `protojson`, the Go library that most programs for gRPC use.
//!
//! A message is bytes on the one side and text on the other, with nothing between: each number is read from its own
//! digits, and each field is written from its own bytes. What cannot be kept is a [`Fault`] that names its place.
//!
//! What `protojson` takes and yet drops a part of is refused: a number in quotes with something behind it (`"1 2"`), a
//! number whose exponent has no digits (`1e`), and a tenth digit of a second behind a comma. What it refuses to write is
//! written where nothing is lost: an `Any` of an unknown type, with its bytes in base64, and a message that lacks required
//! fields.

mod fault;
mod field;
mod key;
mod known;
mod number;
mod read;
mod text;
mod types;
mod wire;
mod write;

#[cfg(test)]
mod against_protojson;

use std::thread;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use prost_reflect::MessageDescriptor;
use serde_json::{Value, json, value::RawValue};

use self::fault::DEEPEST;
pub(crate) use self::{fault::Fault, types::Types, write::Style};

/// Reads a message of the type `message` from JSON.
///
/// # Errors
/// A [`Fault`] that knows the byte at which it is.
pub(crate) fn read(text: &[u8], message: &MessageDescriptor, types: &Types) -> Result<Vec<u8>, Fault> {
    at_any_depth(|depth| read::read(text, message, types, depth))
}

/// Writes the `bytes` of a message of the type `message` as JSON.
///
/// # Errors
/// A [`Fault`] that names the field.
pub(crate) fn write(
    bytes: &[u8],
    message: &MessageDescriptor,
    types: &Types,
    style: Style,
) -> Result<Box<RawValue>, Fault> {
    at_any_depth(|depth| write::write(bytes, message, types, style, depth))
}

/// An `Any` as a value. One whose type is not described, or whose bytes have no JSON form, keeps them in base64.
pub(crate) fn any(url: &str, bytes: &[u8], types: &Types) -> Value {
    let written = at_any_depth(|depth| write::any(url, bytes, types, depth));
    let value = written.and_then(|json| Ok(text::parse(json.get().as_bytes(), DEEPEST_VALUE)?.to_value()));
    value.unwrap_or_else(|_| json!({ "@type": url, "value": STANDARD.encode(bytes) }))
}

/// Writes a message as JSON, and reads the JSON.
#[cfg(test)]
pub(crate) fn write_and_read(message: &MessageDescriptor, bytes: &[u8]) {
    let types = Types::new(message.parent_pool());
    if let Ok(json) = write(bytes, message, &types, Style { pretty: false, defaults: true }) {
        let _ = read(json.get().as_bytes(), message, &types);
    }
}

/// Does work that recurses with the depth of a message. What is nested deep gets a stack of its own.
fn at_any_depth<T: Send>(work: impl Fn(usize) -> Result<T, Fault> + Sync) -> Result<T, Fault> {
    match work(SHALLOW) {
        Err(fault) if fault.is_depth() => thread::scope(|scope| {
            let deep = thread::Builder::new().stack_size(DEEP_STACK).spawn_scoped(scope, || work(DEEPEST));
            match deep.map(thread::ScopedJoinHandle::join) {
                Ok(Ok(done)) => done,
                // It did not start, or it panicked.
                _ => Err(fault),
            }
        }),
        done => done,
    }
}

/// How deep messages nest that are read and written on any stack.
const SHALLOW: usize = 64;
/// How deep a value nests at most that goes into other JSON.
const DEEPEST_VALUE: usize = 100;
/// Enough for [`DEEPEST`]. Only what is used of it is memory.
const DEEP_STACK: usize = 512 << 20;
