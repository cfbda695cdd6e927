//! Conversion from bytes to JSON.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use prost_reflect::{Kind, MessageDescriptor, Syntax};
use serde_json::{Value, value::RawValue};

use super::{
    dynamic_value::Encoding,
    fault::{Fault, Step, Within as _},
    field::{Field, Form},
    key::Key,
    known::{self, Known, Type},
    number,
    read::is_message_set,
    types::Types,
    wire::{self, Fields, Wire},
};

/// The layout of JSON.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Style {
    /// On several lines, indented.
    pub(crate) pretty: bool,
    /// With the fields that have their default value.
    pub(crate) defaults: bool,
}

/// Writes a message. Messages nest at most `depth` deep.
pub(super) fn write(
    bytes: &[u8],
    message: &MessageDescriptor,
    types: &Types,
    style: Style,
    depth: usize,
) -> Result<Box<RawValue>, Fault> {
    let mut writer = Writer { types, style, json: Text::new(style.pretty) };
    writer.typed(vec![Wire::Bytes(bytes)], &Type::of(message), depth)?;
    writer.json.done()
}

/// Writes an `Any`.
pub(super) fn any(url: &str, bytes: &[u8], types: &Types, depth: usize) -> Result<Box<RawValue>, Fault> {
    let style = Style::default();
    let mut writer = Writer { types, style, json: Text::new(style.pretty) };
    writer.any(url, bytes, depth)?;
    writer.json.done()
}

struct Writer<'a> {
    types: &'a Types,
    style: Style,
    json: Text,
}

impl Writer<'_> {
    /// Writes a message: all of its occurrences, merged.
    fn typed(&mut self, occurrences: Vec<Wire<'_>>, of: &Type, depth: usize) -> Result<(), Fault> {
        let depth = depth.checked_sub(1).ok_or_else(|| Fault::too_deep(None))?;
        let mut fields = Vec::new();
        for occurrence in occurrences {
            match occurrence {
                Wire::Bytes(bytes) => fields.extend(wire::fields(bytes, depth)?),
                Wire::Group(group) => fields.extend(group),
                _ => {}
            }
        }
        match of {
            Type::Known(known) => self.known(fields, known, depth),
            Type::Plain(message) => self.plain(fields, message, None, depth),
        }
    }

    /// Writes a message without a special form: an object. In an `Any` it starts with its type.
    fn plain(
        &mut self,
        fields: Fields<'_>,
        message: &MessageDescriptor,
        url: Option<&str>,
        depth: usize,
    ) -> Result<(), Fault> {
        if is_message_set(message) {
            return Err(Fault::of_field(format!(
                "{} is a MessageSet, which has no JSON form",
                message.full_name()
            )));
        }
        let mut found = BTreeMap::new();
        for (number, wire) in fields {
            if let Some(field) = Field::numbered(message, number)
                && fits(&wire, &field)
            {
                if let Wire::Bytes(bytes) = wire
                    && field.is_utf8()
                {
                    utf8(bytes).within(|| Step::Field(field.json_name().to_owned()))?;
                }
                if let Some(oneof) = field.oneof() {
                    // Only the last field of a oneof counts.
                    found.retain(|_, (other, _): &mut (Field, Vec<_>)| {
                        other.number() == number || other.oneof() != Some(oneof)
                    });
                }
                found.entry(field.place()).or_insert_with(|| (field, Vec::new())).1.push(wire);
            }
        }
        if self.style.defaults {
            for field in Field::all(message) {
                if !field.has_presence() {
                    found.entry(field.place()).or_insert_with(|| (field, Vec::new()));
                }
            }
        }
        self.json.open('{');
        if let Some(url) = url {
            self.json.name("@type");
            self.json.string(url);
        }
        for (field, wires) in found.into_values() {
            if let (Some(encoding), Some(Wire::Bytes(bytes))) =
                (Encoding::of(message, field.json_name()), wires.last())
                && let Some(value) = encoding.read(bytes)
            {
                self.json.name(field.json_name());
                self.json.value(&value);
                continue;
            }
            self.field(&field, wires, depth).within(|| Step::Field(field.json_name().to_owned()))?;
        }
        self.json.close('}');
        Ok(())
    }

    fn field(&mut self, field: &Field, wires: Vec<Wire<'_>>, depth: usize) -> Result<(), Fault> {
        let kind = field.kind();
        let defaults = self.style.defaults && matches!(field, Field::Own(_));
        match field.form() {
            Form::One => {
                let zero = wires.last().is_none_or(|wire| is_zero(wire, &kind));
                if field.has_presence() || !zero || defaults {
                    self.json.name(field.json_name());
                    self.value(wires, &kind, depth)?;
                }
            }
            Form::List => {
                let mut items = Vec::new();
                for wire in wires {
                    match wire {
                        Wire::Bytes(packed) if is_packable(&kind) => unpack(packed, &kind, &mut items)?,
                        wire => items.push(wire),
                    }
                }
                if !items.is_empty() || defaults {
                    self.json.name(field.json_name());
                    self.json.open('[');
                    for (index, item) in items.into_iter().enumerate() {
                        self.json.item();
                        self.value(vec![item], &kind, depth).within(|| Step::Item(index))?;
                    }
                    self.json.close(']');
                }
            }
            Form::Map { key, value } => {
                let syntax = match &kind {
                    Kind::Message(entry) => entry.parent_file().syntax(),
                    _ => Syntax::Proto3,
                };
                let entries = entries(wires, &key, &value, syntax, depth)?;
                if !entries.is_empty() || defaults {
                    self.json.name(field.json_name());
                    self.map(entries, |writer, wires| writer.value(wires, &value, depth))?;
                }
            }
        }
        Ok(())
    }

    fn map<'a>(
        &mut self,
        entries: BTreeMap<Key, Vec<Wire<'a>>>,
        write: impl Fn(&mut Self, Vec<Wire<'a>>) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        self.json.open('{');
        for (key, wires) in entries {
            let key = key.to_string();
            self.json.name(&key);
            write(self, wires).within(|| Step::Key(key))?;
        }
        self.json.close('}');
        Ok(())
    }

    /// Writes a value. Without an occurrence it is zero or empty.
    fn value(&mut self, wires: Vec<Wire<'_>>, kind: &Kind, depth: usize) -> Result<(), Fault> {
        match kind {
            Kind::Message(message) => self.typed(wires, &Type::of(message), depth),
            kind => self.scalar(wires.last(), kind),
        }
    }

    fn scalar(&mut self, wire: Option<&Wire<'_>>, kind: &Kind) -> Result<(), Fault> {
        match (kind, wire) {
            (Kind::Bool, wire) => self.json.raw(match wire {
                Some(Wire::Varint(value)) if *value != 0 => "true",
                _ => "false",
            }),
            (Kind::String, Some(Wire::Bytes(bytes))) => self.json.string(utf8(bytes)?),
            (Kind::Bytes, Some(Wire::Bytes(bytes))) => self.json.string(&STANDARD.encode(bytes)),
            (Kind::String | Kind::Bytes, _) => self.json.string(""),
            (Kind::Float, Some(Wire::Fixed32(bits))) => self.json.raw(&number::float(f32::from_bits(*bits))),
            (Kind::Double, Some(Wire::Fixed64(bits))) => {
                self.json.raw(&number::double(f64::from_bits(*bits)))
            }
            (Kind::Float | Kind::Double, _) => self.json.raw("0"),
            (kind, _) if known::is_null_value(kind) => self.json.raw("null"),
            (kind, wire) => {
                let value = wire.and_then(|wire| wire::to_integer(wire, kind)).unwrap_or(0);
                match kind {
                    Kind::Enum(one) => {
                        let values = &one.enum_descriptor_proto().value;
                        match values.iter().find(|known| i128::from(known.number()) == value) {
                            Some(known) => self.json.string(known.name()),
                            None => self.json.raw(&value.to_string()),
                        }
                    }
                    Kind::Int64 | Kind::Uint64 | Kind::Sint64 | Kind::Fixed64 | Kind::Sfixed64 => {
                        self.json.string(&value.to_string());
                    }
                    _ => self.json.raw(&value.to_string()),
                }
            }
        }
        Ok(())
    }

    /// Writes a message with a special form.
    fn known(&mut self, fields: Fields<'_>, known: &Known, depth: usize) -> Result<(), Fault> {
        match known {
            Known::Any => {
                let urls: Result<Vec<&str>, Fault> = all_bytes(&fields, 1).map(utf8).collect();
                let url = urls.within(|| Step::Field("@type".to_owned()))?.pop().unwrap_or_default();
                self.any(url, bytes_of(&fields, 2), depth)?;
            }
            Known::Timestamp => {
                let text = known::timestamp(time(&fields)).map_err(Fault::of_field)?;
                self.json.string(&text);
            }
            Known::Duration => {
                let text = known::duration(time(&fields)).map_err(Fault::of_field)?;
                self.json.string(&text);
            }
            Known::FieldMask => {
                let paths: Result<Vec<&str>, Fault> = all_bytes(&fields, 1).map(utf8).collect();
                let text = known::mask(paths?).map_err(Fault::of_field)?;
                self.json.string(&text);
            }
            Known::Struct => {
                let members = fields.into_iter().filter(|(number, _)| *number == 1).map(|(_, wire)| wire);
                let entries = entries(members.collect(), &Kind::String, &Kind::Bytes, Syntax::Proto3, depth)?;
                let value = Type::Known(Known::Value);
                self.map(entries, |writer, wires| writer.typed(wires, &value, depth))?;
            }
            Known::ListValue => {
                self.json.open('[');
                let items = fields
                    .into_iter()
                    .filter(|(number, wire)| *number == 1 && matches!(wire, Wire::Bytes(_)));
                for (index, (_, wire)) in items.enumerate() {
                    self.json.item();
                    let written = self.typed(vec![wire], &Type::Known(Known::Value), depth);
                    written.within(|| Step::Item(index))?;
                }
                self.json.close(']');
            }
            Known::Value => self.dynamic(fields, depth)?,
            Known::Empty => {
                self.json.open('{');
                self.json.close('}');
            }
            Known::Wrapper(kind) => {
                if *kind == Kind::String {
                    all_bytes(&fields, 1).map(utf8).collect::<Result<Vec<_>, _>>()?;
                }
                let mut of_kind =
                    fields.iter().filter(|(number, wire)| *number == 1 && is_of_kind(wire, kind));
                self.scalar(of_kind.next_back().map(|(_, wire)| wire), kind)?;
            }
        }
        Ok(())
    }

    /// Writes a `google.protobuf.Value`. Its last field counts.
    fn dynamic(&mut self, fields: Fields<'_>, depth: usize) -> Result<(), Fault> {
        let mut set: Option<(u32, Vec<Wire<'_>>)> = None;
        for (number, wire) in fields {
            match (number, &wire) {
                (3, Wire::Bytes(bytes)) => _ = utf8(bytes)?,
                (1 | 4, Wire::Varint(_)) | (2, Wire::Fixed64(_)) | (5 | 6, Wire::Bytes(_)) => {}
                _ => continue,
            }
            match &mut set {
                Some((set, wires)) if *set == number => wires.push(wire),
                _ => set = Some((number, vec![wire])),
            }
        }
        let Some((number, wires)) = set else {
            return Err(Fault::of_field("a google.protobuf.Value has no value"));
        };
        match number {
            1 => {
                self.json.raw("null");
                Ok(())
            }
            2 => match wires.last() {
                Some(Wire::Fixed64(bits)) if !f64::from_bits(*bits).is_finite() => {
                    let value = f64::from_bits(*bits);
                    Err(Fault::of_field(format!(
                        "a google.protobuf.Value is {value}, which JSON does not support"
                    )))
                }
                wire => self.scalar(wire, &Kind::Double),
            },
            3 => self.scalar(wires.last(), &Kind::String),
            4 => self.scalar(wires.last(), &Kind::Bool),
            5 => self.typed(wires, &Type::Known(Known::Struct), depth),
            _ => self.typed(wires, &Type::Known(Known::ListValue), depth),
        }
    }

    fn any(&mut self, url: &str, bytes: &[u8], depth: usize) -> Result<(), Fault> {
        if url.is_empty() && bytes.is_empty() {
            self.json.open('{');
            self.json.close('}');
            return Ok(());
        }
        let Some(message) = self.types.by_url(url) else {
            self.json.open('{');
            self.json.name("@type");
            self.json.string(url);
            self.json.name("value");
            self.json.string(&STANDARD.encode(bytes));
            self.json.close('}');
            return Ok(());
        };
        let depth = depth.checked_sub(1).ok_or_else(|| Fault::too_deep(None))?;
        let step = || Step::Field("value".to_owned());
        let fields = wire::fields(bytes, depth).within(step)?;
        match Type::of(&message) {
            Type::Plain(message) => self.plain(fields, &message, Some(url), depth),
            Type::Known(known) => {
                self.json.open('{');
                self.json.name("@type");
                self.json.string(url);
                self.json.name("value");
                self.known(fields, &known, depth).within(step)?;
                self.json.close('}');
                Ok(())
            }
        }
    }
}

/// Whether an encoded value has the type of this field. If not, it belongs to an unknown field.
fn fits(wire: &Wire<'_>, field: &Field) -> bool {
    let kind = field.kind();
    let packed =
        || matches!(wire, Wire::Bytes(_)) && is_packable(&kind) && !matches!(field.form(), Form::One);
    match field.is_group() {
        true => matches!(wire, Wire::Group(_)),
        false => is_of_kind(wire, &kind) || packed(),
    }
}

fn is_of_kind(wire: &Wire<'_>, kind: &Kind) -> bool {
    match kind {
        Kind::Bool => matches!(wire, Wire::Varint(_)),
        Kind::Float => matches!(wire, Wire::Fixed32(_)),
        Kind::Double => matches!(wire, Wire::Fixed64(_)),
        Kind::String | Kind::Bytes | Kind::Message(_) => matches!(wire, Wire::Bytes(_)),
        kind => wire::to_integer(wire, kind).is_some(),
    }
}

fn is_packable(kind: &Kind) -> bool {
    !matches!(kind, Kind::String | Kind::Bytes | Kind::Message(_))
}

/// Splits a packed list.
fn unpack<'a>(mut packed: &[u8], kind: &Kind, items: &mut Vec<Wire<'a>>) -> Result<(), Fault> {
    while !packed.is_empty() {
        items.push(match kind {
            Kind::Float | Kind::Fixed32 | Kind::Sfixed32 => {
                Wire::Fixed32(u32::from_le_bytes(wire::fixed(&mut packed)?))
            }
            Kind::Double | Kind::Fixed64 | Kind::Sfixed64 => {
                Wire::Fixed64(u64::from_le_bytes(wire::fixed(&mut packed)?))
            }
            _ => Wire::Varint(wire::varint(&mut packed)?),
        });
    }
    Ok(())
}

/// Returns the entries of a map. The last entry with a key counts.
fn entries<'a>(
    wires: Vec<Wire<'a>>,
    key: &Kind,
    value: &Kind,
    syntax: Syntax,
    depth: usize,
) -> Result<BTreeMap<Key, Vec<Wire<'a>>>, Fault> {
    let mut entries = BTreeMap::new();
    for wire in wires {
        let Wire::Bytes(entry) = wire else { continue };
        let (mut name, mut values) = (None, Vec::new());
        for (number, wire) in wire::fields(entry, depth)? {
            let of = match number {
                1 => key,
                2 => value,
                _ => continue,
            };
            if !is_of_kind(&wire, of) {
                continue;
            }
            if let Wire::Bytes(bytes) = wire
                && *of == Kind::String
                && syntax == Syntax::Proto3
            {
                utf8(bytes)?;
            }
            match number {
                1 => name = Some(wire),
                _ => values.push(wire),
            }
        }
        let name = match name {
            Some(wire) => {
                Key::of_wire(&wire, key).ok_or_else(|| Fault::of_field("a key of the map is not UTF-8"))?
            }
            None => Key::zero(key),
        };
        entries.insert(name, values);
    }
    Ok(entries)
}

/// Whether a field without presence has its default value. -0.0 is not the default.
fn is_zero(wire: &Wire<'_>, kind: &Kind) -> bool {
    match wire {
        wire if wire::to_integer(wire, kind).is_some() => wire::to_integer(wire, kind) == Some(0),
        Wire::Varint(value) | Wire::Fixed64(value) => *value == 0,
        Wire::Fixed32(value) => *value == 0,
        Wire::Bytes(bytes) => bytes.is_empty(),
        Wire::Group(_) => false,
    }
}

fn all_bytes<'a>(fields: &Fields<'a>, number: u32) -> impl DoubleEndedIterator<Item = &'a [u8]> {
    fields.iter().filter_map(move |(of, wire)| match wire {
        Wire::Bytes(bytes) if *of == number => Some(*bytes),
        _ => None,
    })
}

fn bytes_of<'a>(fields: &Fields<'a>, number: u32) -> &'a [u8] {
    all_bytes(fields, number).next_back().unwrap_or_default()
}

/// Decodes the fields of a Timestamp or a Duration.
fn time(fields: &Fields<'_>) -> known::Time {
    let last = |number: u32| {
        fields.iter().rev().find_map(|(of, wire)| match wire {
            Wire::Varint(value) if *of == number => Some(*value),
            _ => None,
        })
    };
    (last(1).unwrap_or(0) as i64, last(2).unwrap_or(0) as i32)
}

fn utf8(bytes: &[u8]) -> Result<&str, Fault> {
    str::from_utf8(bytes).map_err(|_| Fault::of_field("the string is not UTF-8"))
}

/// A writer of JSON.
struct Text {
    text: String,
    pretty: bool,
    /// The number of open lists and objects.
    depth: usize,
    /// Whether the innermost list or object is empty.
    empty: bool,
}

impl Text {
    fn new(pretty: bool) -> Self {
        Self { text: String::new(), pretty, depth: 0, empty: true }
    }

    fn open(&mut self, bracket: char) {
        self.text.push(bracket);
        self.depth += 1;
        self.empty = true;
    }

    fn close(&mut self, bracket: char) {
        self.depth -= 1;
        if !self.empty {
            self.line();
        }
        self.text.push(bracket);
        self.empty = false;
    }

    /// Starts a list item.
    fn item(&mut self) {
        if !self.empty {
            self.text.push(',');
        }
        self.empty = false;
        self.line();
    }

    /// Starts an object member.
    fn name(&mut self, name: &str) {
        self.item();
        self.string(name);
        self.text.push_str(if self.pretty { ": " } else { ":" });
    }

    fn raw(&mut self, text: &str) {
        self.text.push_str(text);
    }

    fn string(&mut self, text: &str) {
        self.text.push('"');
        for one in text.chars() {
            match one {
                '"' => self.text.push_str("\\\""),
                '\\' => self.text.push_str("\\\\"),
                '\u{8}' => self.text.push_str("\\b"),
                '\u{c}' => self.text.push_str("\\f"),
                '\n' => self.text.push_str("\\n"),
                '\r' => self.text.push_str("\\r"),
                '\t' => self.text.push_str("\\t"),
                '\0'..='\u{1f}' => self.text.push_str(&format!("\\u{:04x}", u32::from(one))),
                one => self.text.push(one),
            }
        }
        self.text.push('"');
    }

    /// Writes a value that is JSON already.
    fn value(&mut self, value: &Value) {
        match value {
            Value::String(text) => self.string(text),
            Value::Array(items) => {
                self.open('[');
                for item in items {
                    self.item();
                    self.value(item);
                }
                self.close(']');
            }
            Value::Object(members) => {
                self.open('{');
                for (name, value) in members {
                    self.name(name);
                    self.value(value);
                }
                self.close('}');
            }
            other => self.raw(&other.to_string()),
        }
    }

    fn line(&mut self) {
        if self.pretty {
            self.text.push('\n');
            self.text.extend(std::iter::repeat_n("  ", self.depth.min(DEEPEST_INDENT)));
        }
    }

    fn done(self) -> Result<Box<RawValue>, Fault> {
        RawValue::from_string(self.text)
            .map_err(|error| Fault::of_field(format!("the JSON is invalid: {error}")))
    }
}

/// The maximum indentation, in levels.
const DEEPEST_INDENT: usize = 100;
