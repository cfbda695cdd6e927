//! The tokens of msgpack, read with `rmp`.

use rmp::{Marker, decode};

use super::super::ValueError;

/// One token: a whole scalar, or the head of an array or map with the number of its elements or entries.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Token<'b> {
    Nil,
    Bool(bool),
    Unsigned(u64),
    /// A number below zero.
    Signed(i64),
    Float(f64),
    Str(&'b str),
    Bin(&'b [u8]),
    Array(usize),
    Map(usize),
    Ext,
}

/// Reads one token after the other.
pub(super) struct Reader<'b> {
    bytes: &'b [u8],
}

impl Token<'_> {
    /// The kind of the token, with an article.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Nil => "nil",
            Self::Bool(_) => "a boolean",
            Self::Unsigned(_) | Self::Signed(_) | Self::Float(_) => "a number",
            Self::Str(_) => "a string",
            Self::Bin(_) => "a byte string",
            Self::Array(_) => "an array",
            Self::Map(_) => "a map",
            Self::Ext => "an extension",
        }
    }
}

impl<'b> Reader<'b> {
    pub(super) fn new(bytes: &'b [u8]) -> Self {
        Self { bytes }
    }

    /// The number of bytes that have not been read.
    pub(super) fn rest(&self) -> usize {
        self.bytes.len()
    }

    pub(super) fn next(&mut self) -> Result<Token<'b>, ValueError> {
        use Marker as M;
        let first = *self.bytes.first().ok_or(ValueError::Truncated)?;
        let bytes = &mut self.bytes;
        Ok(match Marker::from_u8(first) {
            M::Null => decode::read_nil(bytes).map(|()| Token::Nil).map_err(truncated)?,
            M::True | M::False => Token::Bool(decode::read_bool(bytes).map_err(truncated)?),
            M::FixPos(_) | M::U8 | M::U16 | M::U32 | M::U64 => {
                Token::Unsigned(decode::read_int(bytes).map_err(truncated)?)
            }
            M::FixNeg(_) | M::I8 | M::I16 | M::I32 | M::I64 => {
                match decode::read_int::<i64, _>(bytes).map_err(truncated)? {
                    number @ 0.. => Token::Unsigned(number.unsigned_abs()),
                    number => Token::Signed(number),
                }
            }
            M::F32 => Token::Float(decode::read_f32(bytes).map_err(truncated)?.into()),
            M::F64 => Token::Float(decode::read_f64(bytes).map_err(truncated)?),
            M::FixStr(_) | M::Str8 | M::Str16 | M::Str32 => {
                let length = decode::read_str_len(bytes).map_err(truncated)?;
                let text = str::from_utf8(self.take(length)?);
                Token::Str(text.map_err(|_| ValueError::Text)?)
            }
            M::Bin8 | M::Bin16 | M::Bin32 => {
                let length = decode::read_bin_len(bytes).map_err(truncated)?;
                Token::Bin(self.take(length)?)
            }
            M::FixArray(_) | M::Array16 | M::Array32 => {
                Token::Array(decode::read_array_len(bytes).map_err(truncated)? as usize)
            }
            M::FixMap(_) | M::Map16 | M::Map32 => {
                Token::Map(decode::read_map_len(bytes).map_err(truncated)? as usize)
            }
            M::FixExt1
            | M::FixExt2
            | M::FixExt4
            | M::FixExt8
            | M::FixExt16
            | M::Ext8
            | M::Ext16
            | M::Ext32 => {
                let head = decode::read_ext_meta(bytes).map_err(truncated)?;
                self.take(head.size)?;
                Token::Ext
            }
            M::Reserved => return Err(ValueError::Marker(first)),
        })
    }

    fn take(&mut self, length: u32) -> Result<&'b [u8], ValueError> {
        let (taken, rest) = self.bytes.split_at_checked(length as usize).ok_or(ValueError::Truncated)?;
        self.bytes = rest;
        Ok(taken)
    }
}

/// The error of a read whose marker is right.
fn truncated<E>(_: E) -> ValueError {
    ValueError::Truncated
}
