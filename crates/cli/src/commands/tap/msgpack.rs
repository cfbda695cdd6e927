//! Terraform's values as JSON.
//!
//! # Protocol
//! `DynamicValue` of tfplugin5.proto and tfplugin6.proto: a value in MessagePack or JSON. Terraform writes an unknown value as an extension.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Map, Number, Value, json};

/// Whether a method is one of Terraform's.
pub(super) fn is_terraform(method: &str) -> bool {
    method.starts_with("/tfplugin5.") || method.starts_with("/tfplugin6.")
}

/// Replaces the bytes of each `DynamicValue` in a message by the value. Bytes that cannot be read stay.
pub(super) fn with_values(message: Value) -> Value {
    match message {
        Value::Object(members) => Value::Object(
            members
                .into_iter()
                .map(|(name, value)| {
                    let bytes = value.as_str().and_then(|text| STANDARD.decode(text).ok());
                    let read = match (name.as_str(), bytes) {
                        ("msgpack", Some(bytes)) => read(&bytes),
                        ("json", Some(bytes)) => serde_json::from_slice(&bytes).ok(),
                        _ => None,
                    };
                    let value = read.unwrap_or_else(|| with_values(value));
                    (name, value)
                })
                .collect(),
        ),
        Value::Array(values) => values.into_iter().map(with_values).collect(),
        other => other,
    }
}

/// Reads one value that takes all bytes.
fn read(bytes: &[u8]) -> Option<Value> {
    let mut reader = Reader(bytes);
    let value = reader.value(DEEPEST)?;
    reader.0.is_empty().then_some(value)
}

/// The bytes that have not been read.
struct Reader<'b>(&'b [u8]);

impl<'b> Reader<'b> {
    fn value(&mut self, depth: usize) -> Option<Value> {
        let depth = depth.checked_sub(1)?;
        let first = self.take(1)?[0];
        Some(match first {
            0x00..=0x7f => json!(first),
            0x80..=0x8f => return self.map(usize::from(first & 0x0f), depth),
            0x90..=0x9f => return self.array(usize::from(first & 0x0f), depth),
            0xa0..=0xbf => return self.text(usize::from(first & 0x1f)),
            0xc0 => Value::Null,
            0xc2 | 0xc3 => json!(first == 0xc3),
            0xc4..=0xc6 => {
                let length = self.length(1 << (first - 0xc4))?;
                json!(STANDARD.encode(self.take(length)?))
            }
            0xc7..=0xc9 => {
                let length = self.length(1 << (first - 0xc7))?;
                return self.extension(length);
            }
            0xca => float(f32::from_be_bytes(self.take(4)?.try_into().ok()?).into()),
            0xcb => float(f64::from_be_bytes(self.take(8)?.try_into().ok()?)),
            0xcc..=0xcf => json!(self.unsigned(1 << (first - 0xcc))?),
            0xd0..=0xd3 => {
                let size = 1 << (first - 0xd0);
                let shift = 64 - 8 * size;
                // The sign is that of the first byte.
                json!((self.unsigned(size)? << shift).cast_signed() >> shift)
            }
            0xd4..=0xd8 => return self.extension(1 << (first - 0xd4)),
            0xd9..=0xdb => {
                let length = self.length(1 << (first - 0xd9))?;
                return self.text(length);
            }
            0xdc | 0xdd => {
                let length = self.length(2 << (first - 0xdc))?;
                return self.array(length, depth);
            }
            0xde | 0xdf => {
                let length = self.length(2 << (first - 0xde))?;
                return self.map(length, depth);
            }
            0xe0.. => json!(first.cast_signed()),
            0xc1 => return None,
        })
    }

    fn array(&mut self, length: usize, depth: usize) -> Option<Value> {
        (0..length).map(|_| self.value(depth)).collect::<Option<Vec<_>>>().map(Value::Array)
    }

    fn map(&mut self, length: usize, depth: usize) -> Option<Value> {
        let mut members = Map::new();
        for _ in 0..length {
            let Value::String(name) = self.value(depth)? else { return None };
            members.insert(name, self.value(depth)?);
        }
        Some(Value::Object(members))
    }

    fn text(&mut self, length: usize) -> Option<Value> {
        std::str::from_utf8(self.take(length)?).ok().map(Value::from)
    }

    /// A value that Terraform does not know yet.
    fn extension(&mut self, length: usize) -> Option<Value> {
        self.take(length.checked_add(1)?)?;
        Some(json!("<unknown>"))
    }

    fn length(&mut self, size: usize) -> Option<usize> {
        usize::try_from(self.unsigned(size)?).ok()
    }

    fn unsigned(&mut self, size: usize) -> Option<u64> {
        Some(self.take(size)?.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    fn take(&mut self, length: usize) -> Option<&'b [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }
}

fn float(number: f64) -> Value {
    Number::from_f64(number).map_or_else(|| json!(number.to_string()), Value::Number)
}

/// The deepest value that is read.
const DEEPEST: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_as_the_specification_of_messagepack_writes_them() {
        for (bytes, value) in [
            (&b"\xc0"[..], json!(null)),
            (
                b"\x84\xa1a\x07\xa1b\xc3\xa1c\x92\xff\xd1\xff\x00\xa1d\xd9\x02hi",
                json!({"a": 7, "b": true, "c": [-1, -256], "d": "hi"}),
            ),
            (b"\xcb\x3f\xf8\0\0\0\0\0\0", json!(1.5)),
            (b"\xcf\xff\xff\xff\xff\xff\xff\xff\xff", json!(u64::MAX)),
            (b"\xd3\x80\0\0\0\0\0\0\0", json!(i64::MIN)),
            (b"\xd0\x80", json!(-128)),
            (b"\xdc\0\x01\xc4\x01\xff", json!(["/w=="])),
            (b"\xde\0\x01\xa0\xdb\0\0\0\x01x", json!({"": "x"})),
            (b"\x81\xa2id\xd4\0\0", json!({"id": "<unknown>"})),
            (b"\xc7\x03\x0cabc", json!("<unknown>")),
        ] {
            assert_eq!(read(bytes), Some(value), "{bytes:?}");
        }
    }

    #[test]
    fn other_bytes_are_not_read() {
        for bytes in [
            &b""[..],
            b"\xc1",
            b"\xa5abc",
            b"\x81\x01\x02",
            b"\xdd\xff\xff\xff\xff",
            b"\xc0\xc0",
            b"\xd9\x01\xff",
        ] {
            assert_eq!(read(bytes), None, "{bytes:?}");
        }
        assert_eq!(read(&[0x91; 200_000]), None);
    }

    #[test]
    fn the_bytes_in_a_message_are_replaced() {
        let message = json!({"plannedState": {"msgpack": "gaFhAQ=="}, "other": [{"json": "WzFd"}], "msgpack": "no base64"});
        let expected =
            json!({"plannedState": {"msgpack": {"a": 1}}, "other": [{"json": [1]}], "msgpack": "no base64"});
        assert_eq!(with_values(message), expected);
    }
}
