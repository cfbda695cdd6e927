//! Protobuf messages as JSON, by the rules of Go's `protojson`.
//!
//! Conversion is direct, from encoded bytes to text and back, so that no digit of a number is lost. A value that cannot be converted
//! is a [`Fault`] with its path.
//!
//! Differences from `protojson`:
//!
//! - Terraform's `DynamicValue` has its value in place of its bytes: `{"msgpack": {"id": 7}}`. Base64 is read as well.
//! - Rejected here, because `protojson` drops a part: a number in quotes with other characters behind it (`"1 2"`), an exponent without
//!   digits (`1e`), and a tenth decimal digit of a second after a comma.
//! - Written here, because nothing is lost: an `Any` of an unknown type (with its bytes in base64), and a message without its
//!   required fields.

mod dynamic_value;
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
/// A [`Fault`] with its byte offset.
pub(crate) fn read(text: &[u8], message: &MessageDescriptor, types: &Types) -> Result<Vec<u8>, Fault> {
    at_any_depth(|depth| read::read(text, message, types, depth))
}

/// Writes the `bytes` of a message of the type `message` as JSON.
///
/// # Errors
/// A [`Fault`] with the path of the field.
pub(crate) fn write(
    bytes: &[u8],
    message: &MessageDescriptor,
    types: &Types,
    style: Style,
) -> Result<Box<RawValue>, Fault> {
    at_any_depth(|depth| write::write(bytes, message, types, style, depth))
}

/// Returns an `Any` as JSON. If its type is unknown or its bytes have no JSON form, the JSON has the bytes in base64.
pub(crate) fn any(url: &str, bytes: &[u8], types: &Types) -> Value {
    let written = at_any_depth(|depth| write::any(url, bytes, types, depth));
    let value = written.and_then(|json| Ok(text::parse(json.get().as_bytes(), DEEPEST_VALUE)?.to_value()));
    value.unwrap_or_else(|_| json!({ "@type": url, "value": STANDARD.encode(bytes) }))
}

/// Writes a message as JSON and reads the JSON.
#[cfg(test)]
pub(crate) fn write_and_read(message: &MessageDescriptor, bytes: &[u8]) {
    let types = Types::new(message.parent_pool());
    if let Ok(json) = write(bytes, message, &types, Style { pretty: false, defaults: true }) {
        let _ = read(json.get().as_bytes(), message, &types);
    }
}

/// Runs a function that recurses with the depth of a message. A deep message gets a thread with a large stack.
fn at_any_depth<T: Send>(work: impl Fn(usize) -> Result<T, Fault> + Sync) -> Result<T, Fault> {
    match work(SHALLOW) {
        Err(fault) if fault.is_depth() => thread::scope(|scope| {
            let deep = thread::Builder::new().stack_size(DEEP_STACK).spawn_scoped(scope, || work(DEEPEST));
            match deep.map(thread::ScopedJoinHandle::join) {
                Ok(Ok(done)) => done,
                // The thread could not start, or it panicked.
                _ => Err(fault),
            }
        }),
        done => done,
    }
}

/// The maximum depth of messages on the current stack.
const SHALLOW: usize = 64;
/// The maximum depth of a value inside other JSON.
const DEEPEST_VALUE: usize = 100;
/// The stack size for [`DEEPEST`] levels. Only the used part takes memory.
const DEEP_STACK: usize = 512 << 20;
