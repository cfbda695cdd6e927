//! Terraform's values as JSON, in place of their bytes.
//!
//! # Protocol
//! `DynamicValue` of tfplugin5.proto and tfplugin6.proto: a value in MessagePack or JSON. Terraform writes an unknown value as an
//! extension. In the proto files of this repository, both have the package `tfplugin`.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use prost_reflect::MessageDescriptor;
use serde_json::{Map, Number, Value as Read, json};

use super::text::{Json, Member, Value};

/// The encoding of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    MessagePack,
    Json,
}

impl Encoding {
    /// The encoding of a field, if the message is a value of Terraform.
    pub(super) fn of(message: &MessageDescriptor, field: &str) -> Option<Self> {
        if !matches!(
            message.full_name(),
            "tfplugin.DynamicValue" | "tfplugin5.DynamicValue" | "tfplugin6.DynamicValue"
        ) {
            return None;
        }
        match field {
            "msgpack" => Some(Self::MessagePack),
            "json" => Some(Self::Json),
            _ => None,
        }
    }

    /// Reads a value. Returns `None` for bytes that cannot be read, and for a text, which would be taken for bytes in base64.
    pub(super) fn read(self, bytes: &[u8]) -> Option<Read> {
        let read = match self {
            Self::MessagePack => read(bytes),
            Self::Json => serde_json::from_slice(bytes).ok(),
        };
        read.filter(|value| !value.is_string())
    }

    /// Writes a value. Returns `None` for a text, which is bytes in base64.
    pub(super) fn write(self, json: &Json<'_>) -> Option<Vec<u8>> {
        if matches!(json.value, Value::Text(_)) {
            return None;
        }
        Some(match self {
            Self::MessagePack => {
                let mut bytes = Vec::new();
                put(json, &mut bytes);
                bytes
            }
            Self::Json => as_text(json).into_bytes(),
        })
    }
}

/// Writes a value as JSON. Numbers keep their digits.
fn as_text(json: &Json<'_>) -> String {
    let quoted = |text: &str| Read::from(text).to_string();
    match &json.value {
        Value::Null => "null".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Number(digits) => (*digits).to_owned(),
        Value::Text(text) => quoted(text),
        Value::List(items) => {
            let items: Vec<String> = items.iter().map(as_text).collect();
            format!("[{}]", items.join(","))
        }
        Value::Object(members) => {
            let member = |member: &Member<'_>| format!("{}:{}", quoted(&member.name), as_text(&member.json));
            let members: Vec<String> = members.iter().map(member).collect();
            format!("{{{}}}", members.join(","))
        }
    }
}

/// Appends a value in MessagePack.
fn put(json: &Json<'_>, to: &mut Vec<u8>) {
    match &json.value {
        Value::Null => to.push(0xc0),
        Value::Bool(value) => to.push(0xc2 | u8::from(*value)),
        Value::Number(digits) => put_number(digits, to),
        Value::Text(text) if *text == UNKNOWN => to.extend([0xd4, 0, 0]),
        Value::Text(text) => put_text(text, to),
        Value::List(items) => {
            put_length(0xdd, items.len(), to);
            items.iter().for_each(|item| put(item, to));
        }
        Value::Object(members) => {
            put_length(0xdf, members.len(), to);
            for member in members {
                put_text(&member.name, to);
                put(&member.json, to);
            }
        }
    }
}

/// Appends a number. Terraform takes the digits of a number that has no other exact form.
fn put_number(digits: &str, to: &mut Vec<u8>) {
    if let Ok(whole) = digits.parse::<i64>() {
        to.push(0xd3);
        to.extend(whole.to_be_bytes());
    } else if let Ok(whole) = digits.parse::<u64>() {
        to.push(0xcf);
        to.extend(whole.to_be_bytes());
    } else if let Some(number) = digits.parse::<f64>().ok().filter(|number| number.to_string() == *digits) {
        to.push(0xcb);
        to.extend(number.to_be_bytes());
    } else {
        put_text(digits, to);
    }
}

fn put_text(text: &str, to: &mut Vec<u8>) {
    put_length(0xdb, text.len(), to);
    to.extend(text.as_bytes());
}

/// Appends a length of 32 bits. JSON of more than 4 GiB does not get here.
fn put_length(kind: u8, length: usize, to: &mut Vec<u8>) {
    to.push(kind);
    to.extend(u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes());
}

/// Reads one value that takes all bytes.
fn read(bytes: &[u8]) -> Option<Read> {
    let mut reader = Reader(bytes);
    let value = reader.value(DEEPEST)?;
    reader.0.is_empty().then_some(value)
}

/// The bytes that have not been read.
struct Reader<'b>(&'b [u8]);

impl<'b> Reader<'b> {
    fn value(&mut self, depth: usize) -> Option<Read> {
        let depth = depth.checked_sub(1)?;
        let first = self.take(1)?[0];
        Some(match first {
            0x00..=0x7f => json!(first),
            0x80..=0x8f => return self.map(usize::from(first & 0x0f), depth),
            0x90..=0x9f => return self.array(usize::from(first & 0x0f), depth),
            0xa0..=0xbf => return self.text(usize::from(first & 0x1f)),
            0xc0 => Read::Null,
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

    fn array(&mut self, length: usize, depth: usize) -> Option<Read> {
        (0..length).map(|_| self.value(depth)).collect::<Option<Vec<_>>>().map(Read::Array)
    }

    fn map(&mut self, length: usize, depth: usize) -> Option<Read> {
        let mut members = Map::new();
        for _ in 0..length {
            let Read::String(name) = self.value(depth)? else { return None };
            members.insert(name, self.value(depth)?);
        }
        Some(Read::Object(members))
    }

    fn text(&mut self, length: usize) -> Option<Read> {
        std::str::from_utf8(self.take(length)?).ok().map(Read::from)
    }

    /// A value that Terraform does not know yet.
    fn extension(&mut self, length: usize) -> Option<Read> {
        self.take(length.checked_add(1)?)?;
        Some(json!(UNKNOWN))
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

fn float(number: f64) -> Read {
    Number::from_f64(number).map_or_else(|| json!(number.to_string()), Read::Number)
}

/// How a value is shown that Terraform does not know yet.
const UNKNOWN: &str = "<unknown>";

/// The deepest value that is read.
const DEEPEST: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protojson::text;

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
    fn a_written_value_is_read_again() {
        for text in [
            "null",
            "true",
            "[1,-1,18446744073709551615,1.5,[],{}]",
            r#"{"a":"text","b":{"c":[null,false]},"id":"<unknown>"}"#,
        ] {
            let json = text::parse(text.as_bytes(), 10).unwrap();
            for encoding in [Encoding::MessagePack, Encoding::Json] {
                let read = encoding.read(&encoding.write(&json).unwrap()).unwrap();
                assert_eq!(read, serde_json::from_str::<Read>(text).unwrap(), "{encoding:?}");
            }
        }
    }

    #[test]
    fn a_number_keeps_its_digits() {
        let json = text::parse(b"[0.1, 1e400, 123456789012345678901234567890, 1.0]", 10).unwrap();
        let read = read(&Encoding::MessagePack.write(&json).unwrap());
        assert_eq!(read, Some(json!([0.1, "1e400", "123456789012345678901234567890", "1.0"])));
    }

    #[test]
    fn a_text_is_bytes_in_base64() {
        let json = text::parse(br#""gaFhAQ==""#, 10).unwrap();
        assert_eq!(Encoding::MessagePack.write(&json), None);
        assert_eq!(Encoding::MessagePack.read(b"\xa2hi"), None);
    }
}
