//! Keys of maps: names in JSON, values on the wire. Their order is that of the written JSON.

use std::fmt;

use prost_reflect::Kind;

use super::wire::{self, Payload, Wire};

/// A key of a map.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key {
    Bool(bool),
    Integer(i128),
    Text(String),
}

impl Key {
    /// Parses a name. Returns `None` if it is not a key of this kind.
    pub(super) fn read(name: &str, kind: &Kind) -> Option<Self> {
        match (kind, name) {
            (Kind::String, _) => Some(Self::Text(name.to_owned())),
            (Kind::Bool, "true") => Some(Self::Bool(true)),
            (Kind::Bool, "false") => Some(Self::Bool(false)),
            (Kind::Bool, _) => None,
            (_, _) => {
                let signed = !matches!(kind, Kind::Uint32 | Kind::Uint64 | Kind::Fixed32 | Kind::Fixed64);
                let digits = if signed { name.strip_prefix(['+', '-']).unwrap_or(name) } else { name };
                let key = Self::Integer(
                    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| name.parse().ok())??,
                );
                key.payload(kind).is_some().then_some(key)
            }
        }
    }

    /// Decodes a key.
    pub(super) fn of_wire(wire: &Wire<'_>, kind: &Kind) -> Option<Self> {
        match (kind, wire) {
            (Kind::String, Wire::Bytes(bytes)) => Some(Self::Text(str::from_utf8(bytes).ok()?.to_owned())),
            (Kind::Bool, Wire::Varint(value)) => Some(Self::Bool(*value != 0)),
            (_, wire) => wire::to_integer(wire, kind).map(Self::Integer),
        }
    }

    /// Returns the key of an entry without a key.
    pub(super) fn zero(kind: &Kind) -> Self {
        match kind {
            Kind::String => Self::Text(String::new()),
            Kind::Bool => Self::Bool(false),
            _ => Self::Integer(0),
        }
    }

    /// Encodes the key. Returns `None` if it is out of range, or if a key cannot have this kind.
    pub(super) fn payload(&self, kind: &Kind) -> Option<Payload> {
        match self {
            Self::Bool(value) => Some(Payload::Varint((*value).into())),
            Self::Integer(value) => wire::integer(*value, kind),
            Self::Text(text) => Some(Payload::Bytes(text.as_bytes().to_vec())),
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool(value) => value.fmt(f),
            Self::Integer(value) => value.fmt(f),
            Self::Text(text) => f.write_str(text),
        }
    }
}
