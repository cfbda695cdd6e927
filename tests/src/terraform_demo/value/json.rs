//! Values as JSON, as in state and in the store.
//!
//! A dynamic value is the object `{"value":…,"type":…}`. Numbers of any size are read and written as text.

use serde::de::DeserializeOwned;
use serde::ser::{Error as _, SerializeMap as _};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;

use super::{BTreeMap, Dynamic, MAX_DEPTH, Type, Value, ValueError};

/// The unparsed members of a JSON object.
pub(crate) type RawObject = BTreeMap<String, Box<RawValue>>;

#[derive(Deserialize)]
struct RawDynamic<'a> {
    #[serde(borrow)]
    value: &'a RawValue,
    #[serde(borrow, rename = "type")]
    ty: &'a RawValue,
}

impl Value {
    /// Reads a value of this type. So that older state can be read, missing attributes are null and unknown ones are
    /// skipped.
    pub(crate) fn from_json(json: &[u8], ty: &Type) -> Result<Self, ValueError> {
        Self::from_raw(serde_json::from_slice(json)?, ty)
    }

    /// As [`from_json`](Self::from_json), for a part of a larger text.
    pub(crate) fn from_raw(json: &RawValue, ty: &Type) -> Result<Self, ValueError> {
        read(json, ty, MAX_DEPTH)
    }
}

fn read(json: &RawValue, ty: &Type, depth: usize) -> Result<Value, ValueError> {
    let depth = depth.checked_sub(1).ok_or(ValueError::TooDeep)?;
    let text = json.get();
    if text == "null" {
        return Ok(Value::Null);
    }
    Ok(match ty {
        Type::Bool => Value::Bool(parse(text, ty)?),
        Type::String => Value::String(parse(text, ty)?),
        // Terraform reads numbers in quotes too.
        Type::Number if text.starts_with('"') => Value::Number(parse::<String>(text, ty)?.parse()?),
        Type::Number => Value::Number(text.parse()?),
        Type::List(element) | Type::Set(element) => {
            let elements: Vec<Box<RawValue>> = parse(text, ty)?;
            Value::List(elements.iter().map(|json| read(json, element, depth)).collect::<Result<_, _>>()?)
        }
        Type::Tuple(types) => {
            let elements: Vec<Box<RawValue>> = parse(text, ty)?;
            if elements.len() != types.len() {
                return Err(mismatch(text, ty));
            }
            let each = elements.iter().zip(types);
            Value::List(each.map(|(json, ty)| read(json, ty, depth)).collect::<Result<_, _>>()?)
        }
        Type::Map(element) => {
            let entries: RawObject = parse(text, ty)?;
            let each = entries.iter().map(|(name, json)| Ok((name.clone(), read(json, element, depth)?)));
            Value::Object(each.collect::<Result<_, ValueError>>()?)
        }
        Type::Object(attributes) => {
            let members: RawObject = parse(text, ty)?;
            let each = attributes.iter().map(|(name, ty)| {
                let value = members.get(name).map_or(Ok(Value::Null), |json| read(json, ty, depth))?;
                Ok((name.clone(), value))
            });
            Value::Object(each.collect::<Result<_, ValueError>>()?)
        }
        Type::Dynamic => {
            let RawDynamic { value, ty } = serde_json::from_str(text)?;
            let type_json = ty.get().to_owned();
            let ty = Type::parse(type_json.as_bytes())?;
            let value = read(value, &ty, depth)?;
            Value::Dynamic(Box::new(Dynamic { type_json, ty, value }))
        }
    })
}

fn parse<T: DeserializeOwned>(text: &str, ty: &Type) -> Result<T, ValueError> {
    serde_json::from_str(text).map_err(|_| mismatch(text, ty))
}

fn mismatch(text: &str, ty: &Type) -> ValueError {
    let found = match text.as_bytes().first() {
        Some(b'{') => "an object",
        Some(b'[') => "an array",
        Some(b'"') => "a string",
        Some(b't' | b'f') => "a boolean",
        _ => "a number",
    };
    ValueError::Mismatch { wanted: ty.to_string(), found }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Unknown => Err(S::Error::custom("an unknown value has no JSON form")),
            Self::Bool(truth) => serializer.serialize_bool(*truth),
            Self::Number(number) => verbatim(number.to_string()).serialize(serializer),
            Self::String(text) => serializer.serialize_str(text),
            Self::List(elements) => serializer.collect_seq(elements),
            Self::Object(entries) => serializer.collect_map(entries),
            Self::Dynamic(dynamic) => {
                let mut members = serializer.serialize_map(Some(2))?;
                members.serialize_entry("value", &dynamic.value)?;
                members.serialize_entry("type", &verbatim(dynamic.ty.to_string()))?;
                members.end()
            }
        }
    }
}

/// JSON from a text that is valid JSON.
fn verbatim(json: String) -> Box<RawValue> {
    RawValue::from_string(json).expect("digits and types are JSON")
}
