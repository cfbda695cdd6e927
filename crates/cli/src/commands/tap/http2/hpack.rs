//! Reads compressed headers, without a limit on the names and values that are valid.
//!
//! # Protocol
//! RFC 7541, sections 2.3 (tables), 5 (integers and strings) and 6 (forms of a field).

use std::collections::VecDeque;

use super::{
    headers::Header,
    tables::{CODES, END, FIELDS, SYMBOLS},
};

/// The fields that one direction of a connection has named so far.
#[derive(Debug)]
pub(super) struct Decoder {
    /// The newest field first.
    recent: VecDeque<Header>,
    size: usize,
    limit: usize,
}

/// The headers cannot be read, and neither can those after them.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unreadable;

impl Default for Decoder {
    fn default() -> Self {
        Self { recent: VecDeque::new(), size: 0, limit: 4096 }
    }
}

impl Decoder {
    /// Reads the fields of one complete block.
    pub(super) fn read(&mut self, block: &[u8]) -> Result<Vec<Header>, Unreadable> {
        let mut rest = Bytes(block);
        let mut fields = Vec::new();
        while let Some(first) = rest.peek() {
            match first {
                // A field of a table.
                0x80.. => {
                    let number = rest.integer(7)?;
                    fields.push(self.field(number)?);
                }
                // A field that later blocks may name by number.
                0x40.. => {
                    let field = self.literal(&mut rest, 6)?;
                    self.remember(field.clone());
                    fields.push(field);
                }
                0x20.. => {
                    let limit = rest.integer(5)?;
                    if limit > MAX_TABLE {
                        return Err(Unreadable);
                    }
                    self.limit = limit;
                    self.shrink(limit);
                }
                // A field that is not remembered.
                _ => fields.push(self.literal(&mut rest, 4)?),
            }
        }
        Ok(fields)
    }

    fn literal(&self, rest: &mut Bytes<'_>, prefix: u32) -> Result<Header, Unreadable> {
        let name = match rest.integer(prefix)? {
            0 => rest.string()?,
            number => self.field(number)?.name,
        };
        Ok(Header { name, value: rest.string()? })
    }

    fn field(&self, number: usize) -> Result<Header, Unreadable> {
        let index = number.checked_sub(1).ok_or(Unreadable)?;
        if let Some((name, value)) = FIELDS.get(index) {
            return Ok(Header { name: name.as_bytes().to_vec(), value: value.as_bytes().to_vec() });
        }
        self.recent.get(index - FIELDS.len()).cloned().ok_or(Unreadable)
    }

    fn remember(&mut self, field: Header) {
        let size = size(&field);
        // A field that is larger than the table empties it.
        self.shrink(self.limit.saturating_sub(size));
        if size <= self.limit {
            self.size += size;
            self.recent.push_front(field);
        }
    }

    fn shrink(&mut self, limit: usize) {
        while self.size > limit {
            let Some(oldest) = self.recent.pop_back() else { return };
            self.size -= size(&oldest);
        }
    }
}

/// The size of a field in the table.
fn size(field: &Header) -> usize {
    field.name.len() + field.value.len() + 32
}

/// The bytes of a block that have not been read.
struct Bytes<'b>(&'b [u8]);

impl<'b> Bytes<'b> {
    fn peek(&self) -> Option<u8> {
        self.0.first().copied()
    }

    fn next(&mut self) -> Result<u8, Unreadable> {
        let (first, rest) = self.0.split_first().ok_or(Unreadable)?;
        self.0 = rest;
        Ok(*first)
    }

    fn take(&mut self, length: usize) -> Result<&'b [u8], Unreadable> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(Unreadable)?;
        self.0 = rest;
        Ok(taken)
    }

    /// Reads an integer that begins in the last `prefix` bits of a byte.
    fn integer(&mut self, prefix: u32) -> Result<usize, Unreadable> {
        let most = (1_usize << prefix) - 1;
        let mut value = usize::from(self.next()?) & most;
        if value < most {
            return Ok(value);
        }
        for shift in [0, 7, 14, 21] {
            let byte = self.next()?;
            value += usize::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Unreadable)
    }

    fn string(&mut self) -> Result<Vec<u8>, Unreadable> {
        let is_huffman = self.peek().ok_or(Unreadable)? & 0x80 != 0;
        let length = self.integer(7)?;
        let bytes = self.take(length)?;
        if is_huffman { huffman(bytes) } else { Ok(bytes.to_vec()) }
    }
}

/// Decodes a text in the Huffman code. The bits after the last symbol are the beginning of the code that ends a text.
fn huffman(bytes: &[u8]) -> Result<Vec<u8>, Unreadable> {
    let mut text = Vec::with_capacity(bytes.len() * 8 / 5);
    let mut code = Code::default();
    for byte in bytes {
        for bit in (0..8).rev() {
            match code.push(byte >> bit & 1)? {
                Some(END) => return Err(Unreadable),
                Some(symbol) => text.push(u8::try_from(symbol).map_err(|_| Unreadable)?),
                None => {}
            }
        }
    }
    Ok(text)
}

/// The bits of a symbol so far.
#[derive(Default)]
struct Code {
    bits: u32,
    length: usize,
    /// The first code of this length.
    first: u32,
    /// The number of shorter codes.
    shorter: u32,
}

impl Code {
    fn push(&mut self, bit: u8) -> Result<Option<u16>, Unreadable> {
        self.length += 1;
        self.bits = self.bits << 1 | u32::from(bit);
        self.first <<= 1;
        let count = u32::from(*CODES.get(self.length).ok_or(Unreadable)?);
        if let Some(nth) = self.bits.checked_sub(self.first).filter(|nth| *nth < count) {
            let symbol = SYMBOLS.get((self.shorter + nth) as usize).copied().ok_or(Unreadable)?;
            *self = Self::default();
            return Ok(Some(symbol));
        }
        self.first += count;
        self.shorter += count;
        Ok(None)
    }
}

/// The largest table that a peer may ask for. The default is 4 KiB.
const MAX_TABLE: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(hex: &str) -> Vec<u8> {
        let digits: Vec<char> = hex.chars().filter(|c| !c.is_whitespace()).collect();
        digits
            .chunks(2)
            .map(|pair| u8::from_str_radix(&pair.iter().collect::<String>(), 16).unwrap())
            .collect()
    }

    fn read(decoder: &mut Decoder, hex: &str) -> Vec<(String, String)> {
        let fields = decoder.read(&bytes(hex)).unwrap();
        fields.iter().map(|field| (field.name().into_owned(), field.value().into_owned())).collect()
    }

    fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
        expected.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    const REQUEST: [(&str, &str); 4] =
        [(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "www.example.com")];

    /// RFC 7541, appendices C.3 and C.4.
    #[test]
    fn the_requests_of_the_specification_are_read() {
        for [first, second, third] in [
            [
                "8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
                "8286 84be 5808 6e6f 2d63 6163 6865",
                "8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65",
            ],
            [
                "8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff",
                "8286 84be 5886 a8eb 1064 9cbf",
                "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf",
            ],
        ] {
            let mut decoder = Decoder::default();
            assert_eq!(read(&mut decoder, first), pairs(&REQUEST));
            let mut expected = pairs(&REQUEST);
            expected.extend(pairs(&[("cache-control", "no-cache")]));
            assert_eq!(read(&mut decoder, second), expected);
            assert_eq!(
                read(&mut decoder, third),
                pairs(&[
                    (":method", "GET"),
                    (":scheme", "https"),
                    (":path", "/index.html"),
                    (":authority", "www.example.com"),
                    ("custom-key", "custom-value"),
                ])
            );
            assert_eq!(decoder.size, 164);
        }
    }

    /// RFC 7541, appendix C.6: a table of 256 bytes, from which fields are evicted.
    #[test]
    fn old_fields_make_room_for_new_ones() {
        let mut decoder = Decoder::default();
        // The size of the table first, as a peer with this setting sends it.
        read(
            &mut decoder,
            "3fe101 4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6
            2d1b ff6e 919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3",
        );
        assert_eq!(decoder.size, 222);
        assert_eq!(read(&mut decoder, "4883 640e ffc1 c0bf")[0], (":status".to_owned(), "307".to_owned()));
        assert_eq!(decoder.size, 222);
    }

    #[test]
    fn no_bytes_of_a_peer_make_the_decoder_panic() {
        for hex in [
            "80",
            "ff",
            "ffffffffffffff",
            "be",
            "40",
            "4085ff",
            "0082ffff",
            "3fffffff7f",
            "00 84 ffff ffff 00",
        ] {
            assert_eq!(Decoder::default().read(&bytes(hex)), Err(Unreadable), "{hex}");
        }
        let mut random = 1_u32;
        for _ in 0..20_000 {
            let block: Vec<u8> = (0..random % 40)
                .map(|_| {
                    random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    (random >> 24) as u8
                })
                .collect();
            random = random.wrapping_add(1);
            let _ = Decoder::default().read(&block);
        }
    }
}
