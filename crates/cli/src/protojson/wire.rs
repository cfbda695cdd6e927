//! The encoding of fields.

use prost_reflect::Kind;

use super::fault::Fault;

/// The encoded value of a field.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Wire<'a> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'a [u8]),
    Group(Fields<'a>),
    Fixed32(u32),
}

/// The fields of a message by number, each in order. The fields of concatenated messages are those of the merged message.
pub(super) type Fields<'a> = Vec<(u32, Wire<'a>)>;

/// Decodes the fields of a message. Groups nest at most `depth` deep.
pub(super) fn fields(mut bytes: &[u8], depth: usize) -> Result<Fields<'_>, Fault> {
    let mut fields = Vec::new();
    // The open groups: the number, and the fields before the group.
    let mut open: Vec<(u32, Fields<'_>)> = Vec::new();
    while !bytes.is_empty() {
        let key = varint(&mut bytes)?;
        let number = u32::try_from(key >> 3).ok().filter(|number| (1..=LAST_NUMBER).contains(number));
        let number = number.ok_or_else(|| broken("an invalid field number"))?;
        let wire = match key & 7 {
            0 => Wire::Varint(varint(&mut bytes)?),
            1 => Wire::Fixed64(u64::from_le_bytes(fixed(&mut bytes)?)),
            2 => {
                let length = usize::try_from(varint(&mut bytes)?).unwrap_or(usize::MAX);
                let (value, rest) = bytes.split_at_checked(length).ok_or_else(cut)?;
                bytes = rest;
                Wire::Bytes(value)
            }
            3 if open.len() >= depth => return Err(Fault::too_deep(None)),
            3 => {
                open.push((number, std::mem::take(&mut fields)));
                continue;
            }
            4 => match open.pop() {
                Some((opened, before)) if opened == number => {
                    Wire::Group(std::mem::replace(&mut fields, before))
                }
                _ => return Err(broken("the end of a group without a start")),
            },
            5 => Wire::Fixed32(u32::from_le_bytes(fixed(&mut bytes)?)),
            _ => return Err(broken("an invalid wire type")),
        };
        fields.push((number, wire));
    }
    if open.is_empty() { Ok(fields) } else { Err(broken("a group without an end")) }
}

/// Takes a varint from the start of `bytes`.
pub(super) fn varint(bytes: &mut &[u8]) -> Result<u64, Fault> {
    let mut value = 0;
    for index in 0..10 {
        let (first, rest) = bytes.split_first().ok_or_else(cut)?;
        *bytes = rest;
        if index == 9 && *first > 1 {
            break;
        }
        value |= u64::from(first & 0x7f) << (7 * index);
        if first & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(broken("a number with more than 64 bits"))
}

/// Takes this many bytes from the start of `bytes`.
pub(super) fn fixed<const N: usize>(bytes: &mut &[u8]) -> Result<[u8; N], Fault> {
    let (first, rest) = bytes.split_first_chunk().ok_or_else(cut)?;
    *bytes = rest;
    Ok(*first)
}

/// Appends a varint.
pub(super) fn put_varint(mut value: u64, to: &mut Vec<u8>) {
    while value > 0x7f {
        to.push(value as u8 | 0x80);
        value >>= 7;
    }
    to.push(value as u8);
}

/// Appends a field with its number.
pub(super) fn put(number: u32, value: &Payload, to: &mut Vec<u8>) {
    let key = |kind: u64| u64::from(number) << 3 | kind;
    match value {
        Payload::Varint(_) => put_varint(key(0), to),
        Payload::Fixed64(_) => put_varint(key(1), to),
        Payload::Bytes(bytes) => {
            put_varint(key(2), to);
            put_varint(bytes.len() as u64, to);
        }
        Payload::Fixed32(_) => put_varint(key(5), to),
    }
    put_alone(value, to);
}

/// Appends a message as a group.
pub(super) fn put_group(number: u32, message: &[u8], to: &mut Vec<u8>) {
    put_varint(u64::from(number) << 3 | 3, to);
    to.extend_from_slice(message);
    put_varint(u64::from(number) << 3 | 4, to);
}

/// Appends a value of a packed list.
pub(super) fn put_alone(value: &Payload, to: &mut Vec<u8>) {
    match value {
        Payload::Varint(value) => put_varint(*value, to),
        Payload::Fixed64(value) => to.extend_from_slice(&value.to_le_bytes()),
        Payload::Bytes(bytes) => to.extend_from_slice(bytes),
        Payload::Fixed32(value) => to.extend_from_slice(&value.to_le_bytes()),
    }
}

/// A value to encode.
#[derive(Debug, PartialEq)]
pub(super) enum Payload {
    Varint(u64),
    Fixed64(u64),
    Bytes(Vec<u8>),
    Fixed32(u32),
}

impl Payload {
    /// Whether the value is the default of a field without presence. -0.0 is not the default.
    pub(super) fn is_zero(&self) -> bool {
        match self {
            Self::Varint(value) | Self::Fixed64(value) => *value == 0,
            Self::Bytes(bytes) => bytes.is_empty(),
            Self::Fixed32(value) => *value == 0,
        }
    }
}

/// Encodes an integer of this kind. Returns `None` if it is out of range.
pub(super) fn integer(value: i128, kind: &Kind) -> Option<Payload> {
    let signed32 = || i32::try_from(value).ok();
    let signed64 = || i64::try_from(value).ok();
    Some(match kind {
        Kind::Int32 | Kind::Enum(_) => Payload::Varint(i64::from(signed32()?) as u64),
        Kind::Int64 => Payload::Varint(signed64()? as u64),
        Kind::Uint32 => Payload::Varint(u32::try_from(value).ok()?.into()),
        Kind::Uint64 => Payload::Varint(value.try_into().ok()?),
        Kind::Sint32 => Payload::Varint(zigzag(signed32()?.into())),
        Kind::Sint64 => Payload::Varint(zigzag(signed64()?)),
        Kind::Sfixed32 => Payload::Fixed32(signed32()? as u32),
        Kind::Sfixed64 => Payload::Fixed64(signed64()? as u64),
        Kind::Fixed32 => Payload::Fixed32(value.try_into().ok()?),
        Kind::Fixed64 => Payload::Fixed64(value.try_into().ok()?),
        _ => return None,
    })
}

/// Decodes an integer of this kind. Returns `None` for another wire type.
pub(super) fn to_integer(wire: &Wire<'_>, kind: &Kind) -> Option<i128> {
    Some(match (kind, wire) {
        (Kind::Int32 | Kind::Enum(_), Wire::Varint(value)) => (*value as i32).into(),
        (Kind::Int64, Wire::Varint(value)) => (*value as i64).into(),
        (Kind::Uint32, Wire::Varint(value)) => (*value as u32).into(),
        (Kind::Uint64, Wire::Varint(value)) => (*value).into(),
        (Kind::Sint32, Wire::Varint(value)) => unzigzag(u64::from(*value as u32)).into(),
        (Kind::Sint64, Wire::Varint(value)) => unzigzag(*value).into(),
        (Kind::Sfixed32, Wire::Fixed32(value)) => (*value as i32).into(),
        (Kind::Sfixed64, Wire::Fixed64(value)) => (*value as i64).into(),
        (Kind::Fixed32, Wire::Fixed32(value)) => (*value).into(),
        (Kind::Fixed64, Wire::Fixed64(value)) => (*value).into(),
        _ => return None,
    })
}

/// Returns the zigzag encoding of a `sint32` or `sint64`.
fn zigzag(value: i64) -> u64 {
    (value << 1 ^ value >> 63) as u64
}

fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

/// Returns the fault of bytes that are not a message.
fn broken(what: &str) -> Fault {
    Fault::of_field(format!("the bytes have {what}"))
}

fn cut() -> Fault {
    Fault::of_field("the bytes end inside a field")
}

/// The largest field number.
const LAST_NUMBER: u32 = (1 << 29) - 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decodes_encoded_fields() {
        let mut bytes = Vec::new();
        put(1, &Payload::Varint(u64::MAX), &mut bytes);
        put(2, &Payload::Fixed64(7), &mut bytes);
        put(3, &Payload::Bytes(b"abc".to_vec()), &mut bytes);
        put(LAST_NUMBER, &Payload::Fixed32(9), &mut bytes);
        put_group(4, &bytes.clone(), &mut bytes);
        let inner = vec![
            (1, Wire::Varint(u64::MAX)),
            (2, Wire::Fixed64(7)),
            (3, Wire::Bytes(b"abc")),
            (LAST_NUMBER, Wire::Fixed32(9)),
        ];
        let all: Fields<'_> = inner.iter().cloned().chain([(4, Wire::Group(inner.clone()))]).collect();
        assert_eq!(fields(&bytes, 1).unwrap(), all);
        assert!(fields(&bytes, 0).unwrap_err().is_depth());
        for value in [0, -1, 1, i64::MIN, i64::MAX] {
            assert_eq!(unzigzag(zigzag(value)), value);
        }
    }

    #[test]
    fn rejects_invalid_bytes() {
        let broken: [&[u8]; 10] = [
            b"\x08",
            b"\x0a\x02a",
            b"\x09\0\0\0",
            b"\x0d\0",
            b"\x00\x00",
            b"\x0e",
            b"\x0b",
            b"\x0c",
            b"\x0b\x14",
            b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02",
        ];
        for bytes in broken {
            assert!(fields(bytes, 9).is_err(), "{bytes:?}");
        }
    }
}
