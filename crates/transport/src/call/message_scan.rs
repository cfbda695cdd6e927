//! Finds gRPC messages in a body, by the length before each message.

/// Follows the messages in a body, however its bytes are cut, and finds the first message that is too long.
///
/// # Protocol
/// Before each message there is a byte that says whether the message is compressed, 0 or 1, and its length in four
/// big-endian bytes. A body with another first byte is not gRPC. It is not followed, because its reader reports the
/// fault better.
#[derive(Debug)]
pub(super) struct MessageScan {
    limit: u64,
    /// The bytes of the prefix that have arrived.
    prefix: [u8; PREFIX],
    have: u8,
    /// Whether the body is not gRPC.
    foreign: bool,
    /// The length in the last whole prefix.
    length: u32,
    /// How many bytes of that message are still to arrive.
    left: u32,
    /// The position of that prefix in the data that was taken last. 0 if the prefix began earlier.
    start: usize,
}

/// A message is too long.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooLong {
    /// The position of the prefix in the data. 0 if the prefix began earlier.
    pub(super) start: usize,
    /// The length in the prefix.
    pub(super) length: u32,
}

/// A message that has arrived in part.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct PartialMessage {
    /// The position of the prefix in the data that was taken last. 0 if the prefix began earlier.
    pub(super) start: usize,
    /// The length in the prefix.
    pub(super) length: u32,
    /// How many bytes have arrived.
    pub(super) arrived: u32,
}

impl MessageScan {
    pub(super) fn new(limit: u64) -> Self {
        Self { limit, prefix: [0; PREFIX], have: 0, foreign: false, length: 0, left: 0, start: 0 }
    }

    /// The limit on the length of a message.
    pub(super) fn limit(&self) -> u64 {
        self.limit
    }

    /// Takes the next bytes.
    pub(super) fn take(&mut self, data: &[u8]) -> Result<(), TooLong> {
        if self.foreign {
            return Ok(());
        }
        let mut at = 0;
        self.start = 0;
        while at < data.len() {
            let rest = &data[at..];
            if self.left > 0 {
                let passed = u32::try_from(rest.len()).map_or(self.left, |rest| rest.min(self.left));
                self.left -= passed;
                at += passed as usize;
                continue;
            }
            let have = usize::from(self.have);
            self.start = at.saturating_sub(have);
            let taken = rest.len().min(PREFIX - have);
            self.prefix[have..have + taken].copy_from_slice(&rest[..taken]);
            if self.prefix[0] > COMPRESSED {
                self.foreign = true;
                return Ok(());
            }
            at += taken;
            if have + taken < PREFIX {
                self.have += taken as u8;
                break;
            }
            let [_, length @ ..] = self.prefix;
            let length = u32::from_be_bytes(length);
            if u64::from(length) > self.limit {
                return Err(TooLong { start: self.start, length });
            }
            (self.have, self.length, self.left) = (0, length, length);
        }
        Ok(())
    }

    /// The message whose length is known and whose end has not arrived.
    pub(super) fn partial(&self) -> Option<PartialMessage> {
        let partial =
            || PartialMessage { start: self.start, length: self.length, arrived: self.length - self.left };
        (self.left > 0).then(partial)
    }

    /// Whether the position is within a message.
    pub(super) fn is_within(&self) -> bool {
        self.left > 0 || self.have > 0
    }
}

const PREFIX: usize = 5;

/// The first byte of a compressed message. No larger value is valid.
const COMPRESSED: u8 = 1;

#[cfg(test)]
pub(super) fn message(length: usize) -> Vec<u8> {
    let prefix = u32::try_from(length).expect("small").to_be_bytes();
    [&[0][..], &prefix, &vec![7; length]].concat()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_first_message_above_the_limit_is_found(
            lengths in prop::collection::vec(0_usize..40, 1..8), chunk in 1_usize..50
        ) {
            let bytes: Vec<u8> = lengths.iter().flat_map(|length| message(*length)).collect();
            let mut scan = MessageScan::new(30);
            let found = bytes.chunks(chunk).find_map(|chunk| scan.take(chunk).err()).map(|over| over.length as usize);
            prop_assert_eq!(found, lengths.into_iter().find(|length| *length > 30));
        }

        #[test]
        fn a_partial_message_is_reported(lengths in prop::collection::vec(0_usize..40, 1..8), cut in 0_usize..300) {
            let bytes: Vec<u8> = lengths.iter().flat_map(|length| message(*length)).collect();
            let cut = cut.min(bytes.len());
            let mut scan = MessageScan::new(100);
            prop_assert_eq!(scan.take(&bytes[..cut]), Ok(()));
            let (mut start, mut expected, mut within) = (0, None, false);
            for length in lengths {
                let end = start + PREFIX + length;
                within |= start < cut && cut < end;
                if start + PREFIX <= cut && cut < end {
                    let arrived = (cut - start - PREFIX) as u32;
                    expected = Some(PartialMessage { start, length: length as u32, arrived });
                }
                start = end;
            }
            prop_assert_eq!(scan.partial(), expected);
            prop_assert_eq!(scan.is_within(), within);
        }

        #[test]
        fn any_bytes_are_taken(chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..30), 0..20)) {
            let mut scan = MessageScan::new(1 << 20);
            for chunk in chunks {
                let _ = scan.take(&chunk);
            }
        }
    }

    #[test]
    fn bytes_that_are_not_grpc_are_not_followed() {
        let mut scan = MessageScan::new(10);
        assert_eq!(scan.take(b"<html>hello"), Ok(()));
        assert!(!scan.is_within() && scan.partial().is_none());
        assert_eq!(scan.take(&message(11)), Ok(()));
    }
}
