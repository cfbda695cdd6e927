//! The messages in one direction of a call.
//!
//! # Protocol
//! gRPC over HTTP/2, "Length-Prefixed-Message": one byte with the compression, and four bytes with the length.

/// A complete message.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::commands) struct Message {
    pub(in crate::commands) size: usize,
    pub(in crate::commands) is_compressed: bool,
    /// Whether the client has sent it.
    pub(in crate::commands) is_request: bool,
    /// The encoded message. `None` if it is longer than what is kept.
    pub(in crate::commands) bytes: Option<Vec<u8>>,
    /// The positions of the bytes in their direction, in order: where each part begins, and its length.
    pub(in crate::commands) parts: Vec<(u64, usize)>,
}

/// The messages of one direction, from bytes that come in pieces.
#[derive(Debug, Default)]
pub(super) struct Messages {
    /// The longest message that is kept.
    kept: usize,
    prefix: Vec<u8>,
    /// Where the message begins, its prefix included.
    begins: u64,
    left: usize,
    message: Message,
}

impl Messages {
    pub(super) fn new(kept: usize) -> Self {
        Self { kept, ..Self::default() }
    }

    /// Reads the next bytes, which are at a position in their direction. Calls `found` with each complete message.
    pub(super) fn read(&mut self, mut bytes: &[u8], mut at: u64, mut found: impl FnMut(Message)) {
        while !bytes.is_empty() {
            let taken = match self.prefix.len() {
                PREFIX => self.body(bytes, at),
                begun => {
                    if begun == 0 {
                        self.begins = at;
                    }
                    let taken = bytes.len().min(PREFIX - begun);
                    self.prefix.extend_from_slice(&bytes[..taken]);
                    self.begin();
                    taken
                }
            };
            (bytes, at) = (&bytes[taken..], at + taken as u64);
            if self.prefix.len() == PREFIX && self.left == 0 {
                self.prefix.clear();
                found(std::mem::take(&mut self.message));
            }
        }
    }

    /// Returns where a message begins whose end has not come, unless the message is too long to be kept.
    pub(super) fn begun(&self) -> Option<u64> {
        let is_kept = self.prefix.len() < PREFIX || self.message.bytes.is_some();
        (!self.prefix.is_empty() && is_kept).then_some(self.begins)
    }

    fn begin(&mut self) {
        let &[compressed, a, b, c, d] = self.prefix.as_slice() else { return };
        let size = u32::from_be_bytes([a, b, c, d]) as usize;
        self.left = size;
        let bytes = (size <= self.kept).then(Vec::new);
        self.message = Message { size, is_compressed: compressed != 0, bytes, ..Message::default() };
    }

    fn body(&mut self, bytes: &[u8], at: u64) -> usize {
        let taken = bytes.len().min(self.left);
        if let Some(kept) = &mut self.message.bytes {
            kept.extend_from_slice(&bytes[..taken]);
            self.message.parts.push((at, taken));
        }
        self.left -= taken;
        taken
    }
}

/// The length of the prefix of a message.
const PREFIX: usize = 5;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_read_whatever_the_pieces() {
        let bytes =
            [&[0, 0, 0, 0, 3][..], b"abc", &[0, 0, 0, 0, 0], &[1, 0, 0, 0, 1], b"z", &[0, 0, 0, 0, 9], b"no"];
        let bytes = bytes.concat();
        for piece in [1, 2, 4, 100] {
            let (mut messages, mut all) = (Messages::new(256 << 10), Vec::new());
            for (n, part) in bytes.chunks(piece).enumerate() {
                messages.read(part, 100 + (n * piece) as u64, |message| all.push(message));
            }
            let texts: Vec<_> =
                all.iter().map(|m| (m.size, m.is_compressed, m.bytes.clone().unwrap())).collect();
            assert_eq!(
                texts,
                [(3, false, b"abc".to_vec()), (0, false, Vec::new()), (1, true, b"z".to_vec())]
            );
            assert_eq!(messages.begun(), Some(119), "{piece}");
            for (message, first) in all.iter().zip([105, 113, 118]) {
                let positions: Vec<u64> =
                    message.parts.iter().flat_map(|(at, length)| *at..*at + *length as u64).collect();
                assert_eq!(positions, (first..first + message.size as u64).collect::<Vec<_>>());
            }
        }
    }

    #[test]
    fn a_long_message_is_counted_and_not_kept() {
        let (mut messages, mut all) = (Messages::new(256 << 10), Vec::new());
        messages.read(&[0, 0, 16, 0, 0], 0, |message| all.push(message));
        assert_eq!(messages.begun(), None, "nothing waits for its end");
        for _ in 0..16 {
            messages.read(&[7; 64 << 10], 0, |message| all.push(message));
        }
        assert_eq!(all, [Message { size: 1 << 20, ..Message::default() }]);
        assert_eq!(messages.begun(), None);
    }
}
