//! Descriptors from a peer, with the parts that calls need.
//!
//! The types of prost have no editions and no features, and keep unused parts in memory.

use prost::{
    Message as _,
    encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field},
};

/// `google.protobuf.FileDescriptorSet`, with encoded files.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct FileSet {
    #[prost(bytes = "vec", repeated, tag = "1")]
    pub(super) file: Vec<Vec<u8>>,
}

/// `google.protobuf.FileDescriptorProto`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct File {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(string, tag = "2")]
    pub(super) package: String,
    #[prost(string, repeated, tag = "3")]
    pub(super) dependency: Vec<String>,
    #[prost(message, repeated, tag = "4")]
    pub(super) message: Vec<Message>,
    #[prost(message, repeated, tag = "5")]
    pub(super) enumeration: Vec<Enumeration>,
    #[prost(message, repeated, tag = "6")]
    pub(super) service: Vec<Service>,
    #[prost(message, repeated, tag = "7")]
    pub(super) extension: Vec<Field>,
    #[prost(message, optional, tag = "8")]
    pub(super) options: Option<FileOptions>,
    #[prost(string, tag = "12")]
    pub(super) syntax: String,
    #[prost(int32, tag = "14")]
    pub(super) edition: i32,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Message {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(message, repeated, tag = "2")]
    pub(super) field: Vec<Field>,
    #[prost(message, repeated, tag = "3")]
    pub(super) nested: Vec<Self>,
    #[prost(message, repeated, tag = "4")]
    pub(super) enumeration: Vec<Enumeration>,
    #[prost(message, repeated, tag = "5")]
    pub(super) extension_range: Vec<Range>,
    #[prost(message, repeated, tag = "6")]
    pub(super) extension: Vec<Field>,
    #[prost(message, optional, tag = "7")]
    pub(super) options: Option<MessageOptions>,
    #[prost(message, repeated, tag = "8")]
    pub(super) oneof: Vec<Named>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Field {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(string, tag = "2")]
    pub(super) extendee: String,
    #[prost(int32, tag = "3")]
    pub(super) number: i32,
    #[prost(int32, tag = "4")]
    pub(super) label: i32,
    #[prost(int32, tag = "5")]
    pub(super) kind: i32,
    #[prost(string, tag = "6")]
    pub(super) type_name: String,
    #[prost(message, optional, tag = "8")]
    pub(super) options: Option<FieldOptions>,
    #[prost(int32, optional, tag = "9")]
    pub(super) oneof_index: Option<i32>,
    #[prost(string, optional, tag = "10")]
    pub(super) json_name: Option<String>,
    #[prost(bool, tag = "17")]
    pub(super) proto3_optional: bool,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Enumeration {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(message, repeated, tag = "2")]
    pub(super) value: Vec<EnumValue>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct EnumValue {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(int32, tag = "2")]
    pub(super) number: i32,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Service {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(message, repeated, tag = "2")]
    pub(super) method: Vec<Method>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Method {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(string, tag = "2")]
    pub(super) input: String,
    #[prost(string, tag = "3")]
    pub(super) output: String,
    #[prost(bool, tag = "5")]
    pub(super) client_streaming: bool,
    #[prost(bool, tag = "6")]
    pub(super) server_streaming: bool,
}

/// A oneof. Only its name is used.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Named {
    #[prost(string, tag = "1")]
    pub(super) name: String,
}

/// A range of extension numbers: the first, and the number after the last.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub(super) struct Range {
    #[prost(int32, tag = "1")]
    pub(super) start: i32,
    #[prost(int32, tag = "2")]
    pub(super) end: i32,
}

#[derive(Clone, Copy, PartialEq, prost::Message)]
pub(super) struct FileOptions {
    #[prost(message, optional, tag = "50")]
    pub(super) features: Option<FeatureSet>,
}

#[derive(Clone, Copy, PartialEq, prost::Message)]
pub(super) struct MessageOptions {
    #[prost(bool, tag = "1")]
    pub(super) message_set_wire_format: bool,
    #[prost(bool, tag = "7")]
    pub(super) map_entry: bool,
    #[prost(message, optional, tag = "12")]
    pub(super) features: Option<FeatureSet>,
}

#[derive(Clone, Copy, PartialEq, prost::Message)]
pub(super) struct FieldOptions {
    #[prost(bool, optional, tag = "2")]
    pub(super) packed: Option<bool>,
    #[prost(message, optional, tag = "21")]
    pub(super) features: Option<FeatureSet>,
}

/// `google.protobuf.FeatureSet`. Open and closed enums are treated alike: numbers without a name are shown and accepted as numbers.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub(super) struct FeatureSet {
    #[prost(int32, tag = "1")]
    pub(super) field_presence: i32,
    #[prost(int32, tag = "3")]
    pub(super) repeated_field_encoding: i32,
    #[prost(int32, tag = "5")]
    pub(super) message_encoding: i32,
}

impl File {
    /// Reads a file. The error has the name of the file, if it can be read, and the reason.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, (String, String)> {
        let name = || name(bytes).unwrap_or_else(|| "a file without a name".to_owned());
        match Self::decode(bytes) {
            Ok(file) if file.name.is_empty() => Err((name(), "the file has no name".to_owned())),
            Ok(file) => Ok(file),
            Err(error) => Err((name(), format!("not a file descriptor: {error}"))),
        }
    }
}

impl Message {
    /// Whether the message is a map entry.
    pub(super) fn is_map_entry(&self) -> bool {
        self.options.is_some_and(|options| options.map_entry)
    }
}

/// Counts the messages, fields, enums and other parts of an encoded file. An encoded part can have two bytes and take a hundred times as
/// much memory when it is decoded.
pub(super) fn parts(file: &[u8]) -> usize {
    count(file, Level::File, DEPTH)
}

/// The kind of a part of a file, which determines the kinds of its parts.
#[derive(Clone, Copy)]
enum Level {
    File,
    Message,
    /// An enum or a service. Its parts are in field 2.
    List,
    /// A part without parts.
    Leaf,
}

impl Level {
    /// Returns the kind of the parts in a field, or `None` if the field has no parts.
    fn within(self, field: u32) -> Option<Self> {
        match (self, field) {
            (Self::File, 4) | (Self::Message, 3) => Some(Self::Message),
            (Self::File, 5 | 6) | (Self::Message, 4) => Some(Self::List),
            (Self::File, 3 | 7) | (Self::Message, 2 | 5 | 6 | 8) | (Self::List, 2) => Some(Self::Leaf),
            _ => None,
        }
    }
}

/// Stops at invalid bytes, as decoding does.
fn count(mut rest: &[u8], level: Level, depth: u32) -> usize {
    let mut found = 0;
    while let Some((field, content)) = next(&mut rest) {
        let (Some(content), Some(inner)) = (content, level.within(field)) else { continue };
        found += 1;
        if depth > 0 && !matches!(inner, Level::Leaf) {
            found += count(content, inner, depth - 1);
        }
    }
    found
}

/// Returns the name of an encoded file, even if a later part is invalid.
pub(super) fn name(mut file: &[u8]) -> Option<String> {
    while let Some((field, content)) = next(&mut file) {
        if let (1, Some(content)) = (field, content) {
            return String::from_utf8(content.to_vec()).ok().filter(|name| !name.is_empty());
        }
    }
    None
}

/// Takes the next field. Returns its content if it has a length.
fn next<'a>(rest: &mut &'a [u8]) -> Option<(u32, Option<&'a [u8]>)> {
    if rest.is_empty() {
        return None;
    }
    let (field, wire_type) = decode_key(rest).ok()?;
    if wire_type != WireType::LengthDelimited {
        skip_field(wire_type, field, rest, DecodeContext::default()).ok()?;
        return Some((field, None));
    }
    let length = usize::try_from(decode_varint(rest).ok()?).ok()?;
    let (content, after) = rest.split_at_checked(length)?;
    *rest = after;
    Some((field, Some(content)))
}

/// The maximum depth of prost.
const DEPTH: u32 = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_counted_at_every_level() {
        let field = || Field { name: "f".to_owned(), ..Default::default() };
        let value = EnumValue { name: "V".to_owned(), number: 0 };
        let enumeration = Enumeration { name: "E".to_owned(), value: vec![value.clone(), value] };
        let inner = Message { field: vec![field(), field()], ..Default::default() };
        let outer = Message {
            nested: vec![inner],
            enumeration: vec![enumeration],
            oneof: vec![Named::default()],
            ..Default::default()
        };
        let service = Service { name: "S".to_owned(), method: vec![Method::default()] };
        let file = File {
            dependency: vec!["other.proto".to_owned()],
            message: vec![outer],
            service: vec![service],
            extension: vec![field()],
            ..Default::default()
        };
        // An import, 1 + (1 + 2) + (1 + 2) + 1 in the message, 1 + 1 for the service, an extension.
        assert_eq!(parts(&file.encode_to_vec()), 1 + 8 + 2 + 1);
        assert_eq!(parts(&[0x22, 0x00].repeat(1000)), 1000);
        assert_eq!(parts(&[0x22, 0x7f]), 0, "cut off");
    }

    #[test]
    fn the_name_of_an_invalid_file_is_read() {
        let mut bytes = File { name: "a.proto".to_owned(), ..Default::default() }.encode_to_vec();
        assert!(File::read(&bytes).is_ok());
        bytes.extend([0x22, 0x7f]);
        let (name, why) = File::read(&bytes).unwrap_err();
        assert!(name == "a.proto" && why.starts_with("not a file descriptor: "), "{name}: {why}");
        assert_eq!(File::read(&[]).unwrap_err().0, "a file without a name");
    }
}
