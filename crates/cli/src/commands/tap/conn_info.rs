//! The messages of the broker.
//!
//! # Protocol
//! go-plugin `grpc_broker.proto`, tag v1.8.0: `ConnInfo` with id (1), network (2), address (3), and a knock (4) with request (1), reply (2)
//! and error (3).

use std::ops::Range;

/// A `plugin.ConnInfo`, and where its address stands in the encoded message.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct ConnInfo {
    pub(super) id: u64,
    pub(super) network: String,
    pub(super) address: String,
    pub(super) address_at: Range<usize>,
    pub(super) knock: Option<Knock>,
}

#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Knock {
    pub(super) ack: bool,
    pub(super) error: String,
}

impl ConnInfo {
    /// Reads an encoded message. Returns `None` if it is invalid.
    pub(super) fn read(message: &[u8]) -> Option<Self> {
        let mut this = Self::default();
        let mut fields = Fields { all: message, at: 0 };
        while let Some((number, value)) = fields.next()? {
            match (number, value) {
                (1, Value::Number(id)) => this.id = id,
                (2, Value::Bytes(at)) => this.network = text(message, &at)?,
                (3, Value::Bytes(at)) => {
                    this.address = text(message, &at)?;
                    this.address_at = at;
                }
                // A message that comes twice is merged, as every implementation of protobuf does.
                (4, Value::Bytes(at)) => this.knock.get_or_insert_default().merge(message.get(at)?)?,
                _ => {}
            }
        }
        Some(this)
    }
}

impl Knock {
    /// Takes the fields of an encoded knock. Returns `None` if it is invalid.
    fn merge(&mut self, message: &[u8]) -> Option<()> {
        let mut fields = Fields { all: message, at: 0 };
        while let Some((number, value)) = fields.next()? {
            match (number, value) {
                (2, Value::Number(ack)) => self.ack = ack != 0,
                (3, Value::Bytes(at)) => self.error = text(message, &at)?,
                _ => {}
            }
        }
        Some(())
    }
}

fn text(message: &[u8], at: &Range<usize>) -> Option<String> {
    String::from_utf8(message.get(at.clone())?.to_vec()).ok()
}

enum Value {
    Number(u64),
    Bytes(Range<usize>),
    Other,
}

/// The fields of a message.
struct Fields<'m> {
    all: &'m [u8],
    at: usize,
}

impl Fields<'_> {
    /// Reads the next field: its number and its value. Returns `Some(None)` at the end.
    #[expect(clippy::option_option, reason = "an invalid message is not the end of one")]
    fn next(&mut self) -> Option<Option<(u64, Value)>> {
        if self.at == self.all.len() {
            return Some(None);
        }
        let tag = self.number()?;
        let value = match tag & 7 {
            0 => Value::Number(self.number()?),
            1 => self.skip(8)?,
            2 => {
                let length = usize::try_from(self.number()?).ok()?;
                let at = self.at..self.at.checked_add(length).filter(|end| *end <= self.all.len())?;
                self.at = at.end;
                Value::Bytes(at)
            }
            5 => self.skip(4)?,
            _ => return None,
        };
        Some(Some((tag >> 3, value)))
    }

    fn skip(&mut self, length: usize) -> Option<Value> {
        self.at = self.at.checked_add(length).filter(|end| *end <= self.all.len())?;
        Some(Value::Other)
    }

    fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = *self.all.get(self.at)?;
            self.at += 1;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_messages_of_go_are_read() {
        let direct = b"\x08\x01\x12\x04unix\x1a\x07/tmp/p1";
        let read = ConnInfo::read(direct).unwrap();
        assert_eq!((read.id, read.network.as_str(), read.address.as_str()), (1, "unix", "/tmp/p1"));
        assert_eq!(&direct[read.address_at], b"/tmp/p1");
        assert_eq!(read.knock, None);
        let knock = ConnInfo::read(b"\x08\x01\x22\x02\x08\x01").unwrap();
        assert_eq!(knock.knock, Some(Knock::default()));
        let refused =
            ConnInfo::read(b"\x08\x01\x22\x1a\x08\x01\x10\x01\x1a\x14no listener for id 1").unwrap();
        assert_eq!(refused.knock, Some(Knock { ack: true, error: "no listener for id 1".to_owned() }));
    }

    #[test]
    fn invalid_messages_are_not_read() {
        for bytes in [
            &b"\x08"[..],
            b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
            b"\x1a\x05abc",
            b"\x1a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
            b"\x0b",
            b"\x1a\x01\xff",
        ] {
            assert_eq!(ConnInfo::read(bytes), None, "{bytes:?}");
        }
        assert_eq!(ConnInfo::read(b""), Some(ConnInfo::default()));
    }
}
