//! Conversion from JSON to bytes.

use std::collections::{BTreeMap, BTreeSet, btree_map::Entry};

use base64::{
    Engine as _,
    alphabet::{self, Alphabet},
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use prost_reflect::{Kind, MessageDescriptor};

use super::{
    dynamic_value::Encoding,
    fault::{Fault, Step, Within as _},
    field::{Field, Form},
    key::Key,
    known::{self, Known, Type},
    number,
    text::{self, Json, Member, Value},
    types::Types,
    wire::{self, Payload},
};

/// Reads a message. Messages nest at most `depth` deep.
pub(super) fn read(
    text: &[u8],
    message: &MessageDescriptor,
    types: &Types,
    depth: usize,
) -> Result<Vec<u8>, Fault> {
    // A list of messages takes two levels of JSON for one of messages.
    let json = text::parse(text, 2 * depth + 2)?;
    Reader { types }.typed(&json, &Type::of(message), Around { depth, partial: false })
}

struct Reader<'a> {
    types: &'a Types,
}

/// The context of a message.
#[derive(Debug, Clone, Copy)]
struct Around {
    /// The remaining depth.
    depth: usize,
    /// Whether required fields may be missing.
    partial: bool,
}

impl Reader<'_> {
    fn typed(&self, json: &Json<'_>, of: &Type, around: Around) -> Result<Vec<u8>, Fault> {
        let within = around.deeper(json)?;
        match of {
            Type::Known(known) => self.known(json, known, within),
            Type::Plain(message) => {
                self.plain(json, message, within, false).map_err(|fault| fault.of_message(message))
            }
        }
    }

    /// Reads a message without a special form: an object. In an `Any` it has a member with its type.
    fn plain(
        &self,
        json: &Json<'_>,
        message: &MessageDescriptor,
        around: Around,
        within_any: bool,
    ) -> Result<Vec<u8>, Fault> {
        let members = members(json)?;
        if is_message_set(message) {
            return Err(Fault::at(
                json.at,
                format!("{} is a MessageSet, which has no JSON form", message.full_name()),
            ));
        }
        let (mut seen, mut oneofs, mut fields) = (BTreeSet::new(), BTreeSet::new(), BTreeMap::new());
        for member in members {
            if within_any && member.name == "@type" {
                continue;
            }
            let step = || Step::Field(member.name.clone().into_owned());
            let field = Field::named(message, &member.name).ok_or_else(|| unrecognized(member))?;
            if !seen.insert(field.number()) {
                return Err(Fault::at(member.at, "the field appears twice")).within(step);
            }
            let terraform = Encoding::of(message, field.json_name());
            if let Some(value) = terraform.and_then(|encoding| encoding.write(&member.json)) {
                let mut bytes = Vec::new();
                wire::put(field.number(), &Payload::Bytes(value), &mut bytes);
                fields.insert(field.place_on_wire(), bytes);
                continue;
            }
            let kind = field.kind();
            if matches!(member.json.value, Value::Null)
                && !known::is_value(&kind)
                && !known::is_null_value(&kind)
            {
                continue;
            }
            let form = field.form();
            if matches!(form, Form::One)
                && let Some(oneof) = field.oneof()
                && !oneofs.insert(oneof)
            {
                return Err(Fault::at(member.at, "the oneof has another field already")).within(step);
            }
            let bytes = self.field(&member.json, &field, &form, around).within(step)?;
            fields.insert(field.place_on_wire(), bytes);
        }
        if !around.partial {
            let missing = |field: &Field| field.is_required() && !fields.contains_key(&field.place_on_wire());
            if let Some(field) = message.fields().map(Field::Own).find(missing) {
                let step = || Step::Field(field.json_name().to_owned());
                return Err(Fault::at(json.at, "the required field is missing")).within(step);
            }
        }
        Ok(fields.into_values().collect::<Vec<_>>().concat())
    }

    fn field(&self, json: &Json<'_>, field: &Field, form: &Form, around: Around) -> Result<Vec<u8>, Fault> {
        let (number, kind) = (field.number(), field.kind());
        let mut bytes = Vec::new();
        let put = |payload: &Payload, to: &mut Vec<u8>| match payload {
            Payload::Bytes(message) if field.is_group() => wire::put_group(number, message, to),
            payload => wire::put(number, payload, to),
        };
        match form {
            Form::One => {
                let payload = self.value(json, &kind, around)?;
                if field.has_presence() || !payload.is_zero() {
                    put(&payload, &mut bytes);
                }
            }
            Form::List => {
                let mut packed = Vec::new();
                for (index, item) in items(json)?.iter().enumerate() {
                    let payload = self.value(item, &kind, around).within(|| Step::Item(index))?;
                    match field.is_packed() {
                        true => wire::put_alone(&payload, &mut packed),
                        false => put(&payload, &mut bytes),
                    }
                }
                if !packed.is_empty() {
                    wire::put(number, &Payload::Bytes(packed), &mut bytes);
                }
            }
            Form::Map { key, value } => {
                bytes = map(json, number, key, |json| self.value(json, value, around))?;
            }
        }
        Ok(bytes)
    }

    fn value(&self, json: &Json<'_>, kind: &Kind, around: Around) -> Result<Payload, Fault> {
        match kind {
            Kind::Message(message) => self.typed(json, &Type::of(message), around).map(Payload::Bytes),
            kind => scalar(json, kind),
        }
    }

    /// Reads a message with a special form.
    fn known(&self, json: &Json<'_>, known: &Known, around: Around) -> Result<Vec<u8>, Fault> {
        let fault = |why: &str| Fault::at(json.at, format!("{} {why}", json.shown()));
        let mut bytes = Vec::new();
        match known {
            Known::Any => return self.any(json, around),
            Known::Timestamp => put_time(known::read_timestamp(string(json)?).map_err(fault)?, &mut bytes),
            Known::Duration => put_time(known::read_duration(string(json)?).map_err(fault)?, &mut bytes),
            Known::FieldMask => {
                for path in known::read_mask(string(json)?).map_err(|why| fault(&why))? {
                    wire::put(1, &Payload::Bytes(path.into_bytes()), &mut bytes);
                }
            }
            Known::Struct => {
                let value = Type::Known(Known::Value);
                return map(json, 1, &Kind::String, |json| {
                    self.typed(json, &value, around).map(Payload::Bytes)
                });
            }
            Known::ListValue => {
                for (index, item) in items(json)?.iter().enumerate() {
                    let value = self.typed(item, &Type::Known(Known::Value), around);
                    wire::put(1, &Payload::Bytes(value.within(|| Step::Item(index))?), &mut bytes);
                }
            }
            Known::Value => {
                let (number, payload) = match &json.value {
                    Value::Null => (1, Payload::Varint(0)),
                    Value::Number(_) => (2, scalar(json, &Kind::Double)?),
                    Value::Text(_) => (3, scalar(json, &Kind::String)?),
                    Value::Bool(_) => (4, scalar(json, &Kind::Bool)?),
                    Value::Object(_) => (5, Payload::Bytes(self.known(json, &Known::Struct, around)?)),
                    Value::List(_) => (6, Payload::Bytes(self.known(json, &Known::ListValue, around)?)),
                };
                wire::put(number, &payload, &mut bytes);
            }
            Known::Empty => {
                if let Some(member) = members(json)?.first() {
                    return Err(unrecognized(member));
                }
            }
            Known::Wrapper(kind) => {
                let payload = scalar(json, kind)?;
                if !payload.is_zero() {
                    wire::put(1, &payload, &mut bytes);
                }
            }
        }
        Ok(bytes)
    }

    fn any(&self, json: &Json<'_>, around: Around) -> Result<Vec<u8>, Fault> {
        let members = members(json)?;
        if members.is_empty() {
            return Ok(Vec::new());
        }
        let mut named = members.iter().filter(|member| member.name == "@type");
        let name = named
            .next()
            .ok_or_else(|| Fault::at(json.at, "`@type` with the type of the message is missing"))?;
        if let Some(again) = named.next() {
            return Err(Fault::at(again.at, "`@type` appears twice"));
        }
        let url = string(&name.json)?;
        let message = self
            .types
            .by_url(url)
            .ok_or_else(|| Fault::at(name.json.at, format!("the type {} is unknown", name.json.shown())))?;
        // Required fields are not checked in an Any.
        let within = Around { partial: true, ..around.deeper(json)? };
        let value = match Type::of(&message) {
            Type::Plain(message) => {
                self.plain(json, &message, within, true).map_err(|fault| fault.of_message(&message))?
            }
            Type::Known(known) => {
                let mut value = None;
                for member in members.iter().filter(|member| member.name != "@type") {
                    let step = || Step::Field("value".to_owned());
                    match (&*member.name, &value) {
                        ("value", None) => {
                            value = Some(self.known(&member.json, &known, within).within(step)?)
                        }
                        ("value", Some(_)) => {
                            return Err(Fault::at(member.at, "the field appears twice")).within(step);
                        }
                        _ => return Err(unrecognized(member)),
                    }
                }
                match value {
                    Some(value) => value,
                    None if known == Known::Empty => Vec::new(),
                    None => {
                        return Err(Fault::at(json.at, "`value` with the message is missing"));
                    }
                }
            }
        };
        let mut bytes = Vec::new();
        wire::put(1, &Payload::Bytes(url.as_bytes().to_vec()), &mut bytes);
        if !value.is_empty() {
            wire::put(2, &Payload::Bytes(value), &mut bytes);
        }
        Ok(bytes)
    }
}

impl Around {
    /// Returns the context of the messages in a message.
    fn deeper(self, json: &Json<'_>) -> Result<Self, Fault> {
        let depth = self.depth.checked_sub(1).ok_or_else(|| Fault::too_deep(Some(json.at)))?;
        Ok(Self { depth, ..self })
    }
}

/// Whether a message is a MessageSet, which has no JSON form.
pub(super) fn is_message_set(message: &MessageDescriptor) -> bool {
    let options = message.descriptor_proto().options.as_ref();
    options.is_some_and(prost_types::MessageOptions::message_set_wire_format)
}

/// Reads a map. Its entries are messages with the key in field 1 and the value in field 2.
fn map(
    json: &Json<'_>,
    number: u32,
    key_kind: &Kind,
    read: impl Fn(&Json<'_>) -> Result<Payload, Fault>,
) -> Result<Vec<u8>, Fault> {
    let mut entries = BTreeMap::new();
    for member in members(json)? {
        let step = || Step::Key(member.name.clone().into_owned());
        let key = Key::read(&member.name, key_kind);
        let Some((key, payload)) = key.and_then(|key| key.payload(key_kind).map(|payload| (key, payload)))
        else {
            let what = format!("{:?} is not a valid {}", member.name, kind_name(key_kind));
            return Err(Fault::at(member.at, what));
        };
        let Entry::Vacant(entry) = entries.entry(key) else {
            return Err(Fault::at(member.at, "the key appears twice")).within(step);
        };
        let value = read(&member.json).within(step)?;
        let mut bytes = Vec::new();
        wire::put(1, &payload, &mut bytes);
        wire::put(2, &value, &mut bytes);
        entry.insert(bytes);
    }
    let mut bytes = Vec::new();
    for entry in entries.into_values() {
        wire::put(number, &Payload::Bytes(entry), &mut bytes);
    }
    Ok(bytes)
}

/// Reads a value that is not a message.
fn scalar(json: &Json<'_>, kind: &Kind) -> Result<Payload, Fault> {
    let wrong = || Fault::at(json.at, format!("{} is not a valid {}", json.shown(), kind_name(kind)));
    let out_of_range =
        || Fault::at(json.at, format!("{} is out of the range of {}", json.shown(), kind_name(kind)));
    match (kind, &json.value) {
        (Kind::Bool, Value::Bool(value)) => Ok(Payload::Varint((*value).into())),
        (Kind::String, Value::Text(text)) => Ok(Payload::Bytes(text.as_bytes().to_vec())),
        (Kind::Bytes, Value::Text(text)) => base64(text).map(Payload::Bytes).ok_or_else(wrong),
        (Kind::Float, Value::Number(_) | Value::Text(_)) => {
            let value: f32 = match special(json) {
                Some(value) => value as f32,
                None => digits(json).and_then(|text| text.parse().ok()).ok_or_else(wrong)?,
            };
            match value.is_infinite() && special(json).is_none() {
                true => Err(out_of_range()),
                false => Ok(Payload::Fixed32(value.to_bits())),
            }
        }
        (Kind::Double, Value::Number(_) | Value::Text(_)) => {
            let value: f64 = match special(json) {
                Some(value) => value,
                None => digits(json).and_then(|text| text.parse().ok()).ok_or_else(wrong)?,
            };
            match value.is_infinite() && special(json).is_none() {
                true => Err(out_of_range()),
                false => Ok(Payload::Fixed64(value.to_bits())),
            }
        }
        (Kind::Enum(one), Value::Text(name)) => {
            let value = one.get_value_by_name(name).ok_or_else(wrong)?;
            Ok(Payload::Varint(i64::from(value.number()) as u64))
        }
        (Kind::Enum(_), Value::Null) if known::is_null_value(kind) => Ok(Payload::Varint(0)),
        (Kind::Bool | Kind::String | Kind::Bytes | Kind::Message(_), _) => Err(wrong()),
        (_, Value::Number(_) | Value::Text(_)) => {
            let value = digits(json).and_then(number::integer);
            match value {
                Some(value) => wire::integer(value, kind).ok_or_else(out_of_range),
                // A number with a point or an exponent may be an integer or far too large.
                None => Err(wrong()),
            }
        }
        _ => Err(wrong()),
    }
}

/// Returns the digits of a number, with or without quotes.
fn digits<'a>(json: &'a Json<'_>) -> Option<&'a str> {
    match &json.value {
        Value::Number(text) => Some(text),
        Value::Text(text) if number::length(text.as_bytes()) == Some(text.len()) => Some(text),
        _ => None,
    }
}

/// Returns the numbers that are strings in JSON.
fn special(json: &Json<'_>) -> Option<f64> {
    match &json.value {
        Value::Text(text) => match text.as_ref() {
            // The bit pattern of Go's NaN.
            "NaN" => Some(f64::from_bits(0x7ff8_0000_0000_0001)),
            "Infinity" => Some(f64::INFINITY),
            "-Infinity" => Some(f64::NEG_INFINITY),
            _ => None,
        },
        _ => None,
    }
}

/// Decodes base64 of both alphabets, with or without padding, and with line breaks.
fn base64(text: &str) -> Option<Vec<u8>> {
    let alphabet: &Alphabet =
        if text.contains(['-', '_']) { &alphabet::URL_SAFE } else { &alphabet::STANDARD };
    let padding = match text.len() % 4 {
        0 => DecodePaddingMode::RequireCanonical,
        _ => DecodePaddingMode::RequireNone,
    };
    let lenient = GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true);
    let engine = GeneralPurpose::new(alphabet, lenient.with_decode_padding_mode(padding));
    match text.contains(['\r', '\n']) {
        true => engine.decode(text.replace(['\r', '\n'], "")).ok(),
        false => engine.decode(text).ok(),
    }
}

/// Encodes the fields of a Timestamp or a Duration.
fn put_time((seconds, nanos): known::Time, to: &mut Vec<u8>) {
    for (number, value) in [(1, seconds), (2, nanos.into())] {
        if value != 0 {
            wire::put(number, &Payload::Varint(value as u64), to);
        }
    }
}

fn members<'a, 'b>(json: &'a Json<'b>) -> Result<&'a [Member<'b>], Fault> {
    match &json.value {
        Value::Object(members) => Ok(members),
        _ => Err(Fault::at(json.at, format!("{} is not an object", json.shown()))),
    }
}

fn items<'a, 'b>(json: &'a Json<'b>) -> Result<&'a [Json<'b>], Fault> {
    match &json.value {
        Value::List(items) => Ok(items),
        _ => Err(Fault::at(json.at, format!("{} is not a list", json.shown()))),
    }
}

fn string<'a>(json: &'a Json<'_>) -> Result<&'a str, Fault> {
    match &json.value {
        Value::Text(text) => Ok(text),
        _ => Err(Fault::at(json.at, format!("{} is not a string", json.shown()))),
    }
}

fn unrecognized(member: &Member<'_>) -> Fault {
    Fault::at(member.at, format!("unrecognized field name '{}'", member.name))
}

/// Returns the name of a kind for an error text.
fn kind_name(kind: &Kind) -> String {
    match kind {
        Kind::Message(message) => message.full_name().to_owned(),
        Kind::Enum(one) => format!("value of {}", one.full_name()),
        Kind::Bytes => "base64".to_owned(),
        kind => format!("{kind:?}").to_lowercase(),
    }
}
