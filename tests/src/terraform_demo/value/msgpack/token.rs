//! The parts that msgpack is made of.

use super::super::ValueError;

/// One part: a whole scalar, or the beginning of an array or map with the number of its elements or entries.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Token<'b> {
    Nil,
    Bool(bool),
    Unsigned(u64),
    /// Below zero.
    Signed(i64),
    Float(f64),
    Str(&'b str),
    Bin(&'b [u8]),
    Array(usize),
    Map(usize),
    Ext,
}

/// Reads parts one after the other.
pub(super) struct Reader<'b> {
    bytes: &'b [u8],
}

impl Token<'_> {
    /// What it is, with an article.
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

    /// How many bytes are left.
    pub(super) fn rest(&self) -> usize {
        self.bytes.len()
    }

    pub(super) fn next(&mut self) -> Result<Token<'b>, ValueError> {
        let marker = self.unsigned(1)? as u8;
        Ok(match marker {
            0x00..=0x7f => Token::Unsigned(marker.into()),
            0x80..=0x8f => Token::Map((marker & 0x0f).into()),
            0x90..=0x9f => Token::Array((marker & 0x0f).into()),
            0xa0..=0xbf => self.str((marker & 0x1f).into())?,
            0xc0 => Token::Nil,
            0xc2 => Token::Bool(false),
            0xc3 => Token::Bool(true),
            0xc4..=0xc6 => {
                let length = self.length(1 << (marker - 0xc4))?;
                Token::Bin(self.take(length)?)
            }
            0xc7..=0xc9 => {
                let length = self.length(1 << (marker - 0xc7))?;
                self.ext(length)?
            }
            0xca => Token::Float(f32::from_bits(self.unsigned(4)? as u32).into()),
            0xcb => Token::Float(f64::from_bits(self.unsigned(8)?)),
            0xcc..=0xcf => Token::Unsigned(self.unsigned(1 << (marker - 0xcc))?),
            0xd0..=0xd3 => {
                let width = 1 << (marker - 0xd0);
                // The sign is the first bit of the narrow number: shifted up to the top and back, it fills the rest.
                let shift = 64 - 8 * width;
                match ((self.unsigned(width)? << shift) as i64) >> shift {
                    number @ 0.. => Token::Unsigned(number.unsigned_abs()),
                    number => Token::Signed(number),
                }
            }
            0xd4..=0xd8 => self.ext(1 << (marker - 0xd4))?,
            0xd9..=0xdb => {
                let length = self.length(1 << (marker - 0xd9))?;
                self.str(length)?
            }
            0xdc | 0xdd => Token::Array(self.length(2 << (marker - 0xdc))?),
            0xde | 0xdf => Token::Map(self.length(2 << (marker - 0xde))?),
            0xe0..=0xff => Token::Signed((marker as i8).into()),
            0xc1 => return Err(ValueError::Marker(marker)),
        })
    }

    fn str(&mut self, length: usize) -> Result<Token<'b>, ValueError> {
        str::from_utf8(self.take(length)?).map(Token::Str).map_err(|_| ValueError::Text)
    }

    /// An extension of this many bytes, after the byte that tells its kind.
    fn ext(&mut self, length: usize) -> Result<Token<'b>, ValueError> {
        self.take(1)?;
        self.take(length)?;
        Ok(Token::Ext)
    }

    fn length(&mut self, width: usize) -> Result<usize, ValueError> {
        usize::try_from(self.unsigned(width)?).map_err(|_| ValueError::Truncated)
    }

    /// A big-endian number of 1, 2, 4 or 8 bytes.
    fn unsigned(&mut self, width: usize) -> Result<u64, ValueError> {
        Ok(self.take(width)?.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    fn take(&mut self, length: usize) -> Result<&'b [u8], ValueError> {
        let (taken, rest) = self.bytes.split_at_checked(length).ok_or(ValueError::Truncated)?;
        self.bytes = rest;
        Ok(taken)
    }
}

pub(super) fn write_nil(bytes: &mut Vec<u8>) {
    bytes.push(0xc0);
}

pub(super) fn write_bool(bytes: &mut Vec<u8>, truth: bool) {
    bytes.push(if truth { 0xc3 } else { 0xc2 });
}

/// Extension 0 with one byte of no meaning.
pub(super) fn write_unknown(bytes: &mut Vec<u8>) {
    bytes.extend([0xd4, 0x00, 0x00]);
}

pub(super) fn write_unsigned(bytes: &mut Vec<u8>, number: u64) {
    match number {
        0..=0x7f => bytes.push(number as u8),
        0x80..=0xff => bytes.extend([0xcc, number as u8]),
        0x100..=0xffff => write_head(bytes, 0xcd, &(number as u16).to_be_bytes()),
        0x1_0000..=0xffff_ffff => write_head(bytes, 0xce, &(number as u32).to_be_bytes()),
        _ => write_head(bytes, 0xcf, &number.to_be_bytes()),
    }
}

pub(super) fn write_signed(bytes: &mut Vec<u8>, number: i64) {
    match i8::try_from(number) {
        Ok(number @ -32..) => bytes.push(number as u8),
        _ => write_head(bytes, 0xd3, &number.to_be_bytes()),
    }
}

pub(super) fn write_float(bytes: &mut Vec<u8>, number: f64) {
    write_head(bytes, 0xcb, &number.to_bits().to_be_bytes());
}

pub(super) fn write_str(bytes: &mut Vec<u8>, text: &str) {
    match text.len() {
        length @ 0..=0x1f => bytes.push(0xa0 | length as u8),
        length @ 0x20..=0xff => bytes.extend([0xd9, length as u8]),
        length @ 0x100..=0xffff => write_head(bytes, 0xda, &(length as u16).to_be_bytes()),
        length => write_head(bytes, 0xdb, &(length as u32).to_be_bytes()),
    }
    bytes.extend_from_slice(text.as_bytes());
}

pub(super) fn write_bin(bytes: &mut Vec<u8>, content: &[u8]) {
    match content.len() {
        length @ 0..=0xff => bytes.extend([0xc4, length as u8]),
        length @ 0x100..=0xffff => write_head(bytes, 0xc5, &(length as u16).to_be_bytes()),
        length => write_head(bytes, 0xc6, &(length as u32).to_be_bytes()),
    }
    bytes.extend_from_slice(content);
}

pub(super) fn write_array(bytes: &mut Vec<u8>, length: usize) {
    match length {
        0..=0x0f => bytes.push(0x90 | length as u8),
        0x10..=0xffff => write_head(bytes, 0xdc, &(length as u16).to_be_bytes()),
        _ => write_head(bytes, 0xdd, &(length as u32).to_be_bytes()),
    }
}

pub(super) fn write_map(bytes: &mut Vec<u8>, length: usize) {
    match length {
        0..=0x0f => bytes.push(0x80 | length as u8),
        0x10..=0xffff => write_head(bytes, 0xde, &(length as u16).to_be_bytes()),
        _ => write_head(bytes, 0xdf, &(length as u32).to_be_bytes()),
    }
}

fn write_head(bytes: &mut Vec<u8>, marker: u8, number: &[u8]) {
    bytes.push(marker);
    bytes.extend_from_slice(number);
}
