//! Values as msgpack: how Terraform sends them.
//!
//! - A number is an integer where 64 bits suffice, a float where that is exact, and decimal text otherwise.
//! - An unknown value is an extension. Whatever its kind and content, which may tell what is known about the value
//!   already, it is read as unknown; written is the plain kind 0.
//! - A dynamic value is an array of two: its type as JSON in a byte string, and the value. A null is a bare nil, and an
//!   unknown of unknown type a bare extension.

mod token;

use std::collections::BTreeMap;

use self::token::{Reader, Token};
use super::{Dynamic, MAX_DEPTH, Number, Type, Value, ValueError};

impl Value {
    /// Reads a value of this type. Total: no bytes make it panic, recurse without end, or allocate more than a small
    /// multiple of their length.
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
        let mut bytes = Vec::new();
        write(&mut bytes, self);
        bytes
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

fn write(bytes: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Null => token::write_nil(bytes),
        Value::Unknown => token::write_unknown(bytes),
        Value::Bool(truth) => token::write_bool(bytes, *truth),
        Value::Number(number) => write_number(bytes, number),
        Value::String(text) => token::write_str(bytes, text),
        Value::List(elements) => {
            token::write_array(bytes, elements.len());
            elements.iter().for_each(|element| write(bytes, element));
        }
        Value::Object(entries) => {
            token::write_map(bytes, entries.len());
            for (name, value) in entries {
                token::write_str(bytes, name);
                write(bytes, value);
            }
        }
        Value::Dynamic(dynamic) => {
            token::write_array(bytes, 2);
            token::write_bin(bytes, dynamic.type_json.as_bytes());
            write(bytes, &dynamic.value);
        }
    }
}

fn write_number(bytes: &mut Vec<u8>, number: &Number) {
    if let Some(number) = number.as_u64() {
        token::write_unsigned(bytes, number);
    } else if let Some(number) = number.as_i64() {
        token::write_signed(bytes, number);
    } else if let Some(number) = number.as_exact_f64() {
        token::write_float(bytes, number);
    } else {
        token::write_str(bytes, &number.to_string());
    }
}
