//! Values as msgpack, as Terraform sends them.
//!
//! - A number is an integer where 64 bits suffice, a float where that is exact, and decimal text otherwise.
//! - An unknown value is an extension. Every extension is read as unknown: its kind and content, which may describe the
//!   value, are ignored. Kind 0 is written.
//! - A dynamic value is an array of two: its type as JSON in a byte string, and the value. A null is a bare nil, and an
//!   unknown of unknown type a bare extension.

mod token;

use std::{collections::BTreeMap, convert::Infallible};

use rmp::encode::{self, ByteBuf, ValueWriteError};

use self::token::{Reader, Token};
use super::{Dynamic, MAX_DEPTH, Number, Type, Value, ValueError};

impl Value {
    /// Reads a value of this type.
    ///
    /// No bytes make this function panic, recurse without end, or allocate more than a small multiple of their length.
    pub(crate) fn from_msgpack(bytes: &[u8], ty: &Type) -> Result<Self, ValueError> {
        let mut reader = Reader::new(bytes);
        let value = read(&mut reader, ty, MAX_DEPTH)?;
        match reader.rest() {
            0 => Ok(value),
            trailing => Err(ValueError::Trailing(trailing)),
        }
    }

    /// Writes the value.
    pub(crate) fn to_msgpack(&self) -> Vec<u8> {
        let mut bytes = ByteBuf::new();
        let Ok(()) = write(&mut bytes, self);
        bytes.into_vec()
    }
}

fn read(reader: &mut Reader<'_>, ty: &Type, depth: usize) -> Result<Value, ValueError> {
    let depth = depth.checked_sub(1).ok_or(ValueError::TooDeep)?;
    let token = reader.next()?;
    match (token, ty) {
        (Token::Nil, _) => Ok(Value::Null),
        (Token::Ext, _) => Ok(Value::Unknown),
        (Token::Bool(truth), Type::Bool) => Ok(Value::Bool(truth)),
        (Token::Str(text), Type::String) => Ok(Value::String(text.to_owned())),
        (Token::Unsigned(number), Type::Number) => Ok(Value::Number(number.into())),
        (Token::Signed(number), Type::Number) => Ok(Value::Number(number.into())),
        (Token::Float(number), Type::Number) => Ok(Value::Number(number.try_into()?)),
        (Token::Str(text), Type::Number) => Ok(Value::Number(text.parse()?)),
        (Token::Array(length), Type::List(element) | Type::Set(element)) => {
            (0..length).map(|_| read(reader, element, depth)).collect::<Result<_, _>>().map(Value::List)
        }
        (Token::Array(length), Type::Tuple(elements)) if length == elements.len() => {
            elements.iter().map(|ty| read(reader, ty, depth)).collect::<Result<_, _>>().map(Value::List)
        }
        (Token::Array(2), Type::Dynamic) => {
            let Token::Bin(type_json) = reader.next()? else {
                return Err(ValueError::Mismatch { wanted: "a dynamic value".to_owned(), found: "an array" });
            };
            let ty = Type::parse(type_json)?;
            let type_json = str::from_utf8(type_json).map_err(|_| ValueError::Text)?.to_owned();
            let value = read(reader, &ty, depth)?;
            Ok(Value::Dynamic(Box::new(Dynamic { type_json, ty, value })))
        }
        (Token::Map(length), Type::Map(element)) => {
            let mut entries = BTreeMap::new();
            for _ in 0..length {
                entries.insert(key(reader)?.to_owned(), read(reader, element, depth)?);
            }
            Ok(Value::Object(entries))
        }
        (Token::Map(length), Type::Object(attributes)) => {
            let refuse = || mismatch(ty, &Token::Map(length));
            let mut entries = BTreeMap::new();
            for _ in 0..length {
                let name = key(reader)?;
                let ty = attributes.get(name).ok_or_else(refuse)?;
                entries.insert(name.to_owned(), read(reader, ty, depth)?);
            }
            if entries.len() == attributes.len() { Ok(Value::Object(entries)) } else { Err(refuse()) }
        }
        (token, ty) => Err(mismatch(ty, &token)),
    }
}

fn key<'b>(reader: &mut Reader<'b>) -> Result<&'b str, ValueError> {
    match reader.next()? {
        Token::Str(name) => Ok(name),
        token => Err(mismatch(&Type::String, &token)),
    }
}

fn mismatch(wanted: &Type, found: &Token<'_>) -> ValueError {
    ValueError::Mismatch { wanted: wanted.to_string(), found: found.kind() }
}

/// Writes a value to memory, which cannot fail.
fn write(bytes: &mut ByteBuf, value: &Value) -> Written {
    match value {
        Value::Null => encode::write_nil(bytes).map_err(ValueWriteError::InvalidMarkerWrite),
        Value::Unknown => {
            encode::write_ext_meta(bytes, 1, 0)?;
            bytes.as_mut_vec().push(0);
            Ok(())
        }
        Value::Bool(truth) => encode::write_bool(bytes, *truth).map_err(ValueWriteError::InvalidMarkerWrite),
        Value::Number(number) => write_number(bytes, number),
        Value::String(text) => encode::write_str(bytes, text),
        Value::List(elements) => {
            encode::write_array_len(bytes, length(elements.len()))?;
            elements.iter().try_for_each(|element| write(bytes, element))
        }
        Value::Object(entries) => {
            encode::write_map_len(bytes, length(entries.len()))?;
            entries.iter().try_for_each(|(name, value)| {
                encode::write_str(bytes, name)?;
                write(bytes, value)
            })
        }
        Value::Dynamic(dynamic) => {
            encode::write_array_len(bytes, 2)?;
            encode::write_bin(bytes, dynamic.type_json.as_bytes())?;
            write(bytes, &dynamic.value)
        }
    }
}

/// Writes a number as Terraform does: a negative integer takes one byte or nine.
fn write_number(bytes: &mut ByteBuf, number: &Number) -> Written {
    if let Some(number) = number.as_u64() {
        encode::write_uint(bytes, number).map(drop)
    } else if let Some(number) = number.as_i64() {
        match i8::try_from(number) {
            Ok(number @ -32..) => {
                encode::write_nfix(bytes, number).map_err(ValueWriteError::InvalidMarkerWrite)
            }
            _ => encode::write_i64(bytes, number),
        }
    } else if let Some(number) = number.as_exact_f64() {
        encode::write_f64(bytes, number)
    } else {
        encode::write_str(bytes, &number.to_string())
    }
}

/// The length of a list or map. A message of gRPC is shorter than 4 GiB.
fn length(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

type Written = Result<(), ValueWriteError<Infallible>>;
