//! gRPC's messages within a body, by the length that stands before each.

/// Follows the messages in a body, however its bytes are cut, and finds the first that is longer than allowed.
///
/// # Protocol
/// Each message is preceded by a byte that says whether it is compressed, 0 or 1, and by its length in four bytes, the most
/// significant first. A body that has another first byte is no gRPC: it is not followed any further, since what reads it
/// says so better.
#[derive(Debug)]
pub(super) struct Scan {
    limit: u64,
    /// As much of the prefix as has come.
    prefix: [u8; PREFIX],
    have: u8,
    /// Whether the body is no gRPC.
    foreign: bool,
    /// What the last whole prefix announced.
    length: u32,
    /// What is still to come of that message.
    left: u32,
    /// Where in the data that was taken last its prefix starts; 0 for one that started earlier.
    start: usize,
}

/// A message is too long.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Over {
    /// Where in the data its prefix starts; 0 for one that started earlier.
    pub(super) start: usize,
    /// What its prefix announces.
    pub(super) length: u32,
}

/// A message that has begun.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Begun {
    /// Where in the data that was taken last its prefix starts; 0 for one that started earlier.
    pub(super) start: usize,
    /// What its prefix announces.
    pub(super) length: u32,
    /// How much of it has come.
    pub(super) come: u32,
}

impl Scan {
    pub(super) fn new(limit: u64) -> Self {
        Self { limit, prefix: [0; PREFIX], have: 0, foreign: false, length: 0, left: 0, start: 0 }
    }

    /// The longest message that is allowed.
    pub(super) fn limit(&self) -> u64 {
        self.limit
    }

    /// Takes the next bytes.
    pub(super) fn take(&mut self, data: &[u8]) -> Result<(), Over> {
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
                return Err(Over { start: self.start, length });
            }
            (self.have, self.length, self.left) = (0, length, length);
        }
        Ok(())
    }

    /// The message whose length is known and whose end has not come.
    pub(super) fn begun(&self) -> Option<Begun> {
        let begun = || Begun { start: self.start, length: self.length, come: self.length - self.left };
        (self.left > 0).then(begun)
    }

    /// Whether the body would end within a message if nothing more came.
    pub(super) fn is_within(&self) -> bool {
        self.left > 0 || self.have > 0
    }
}

const PREFIX: usize = 5;

/// The first byte of a compressed message. There is no larger one.
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
        fn finds_the_first_message_above_the_limit(
            lengths in prop::collection::vec(0_usize..40, 1..8), chunk in 1_usize..50
        ) {
            let bytes: Vec<u8> = lengths.iter().flat_map(|length| message(*length)).collect();
            let mut scan = Scan::new(30);
            let found = bytes.chunks(chunk).find_map(|chunk| scan.take(chunk).err()).map(|over| over.length as usize);
            prop_assert_eq!(found, lengths.into_iter().find(|length| *length > 30));
        }

        #[test]
        fn knows_what_has_begun(lengths in prop::collection::vec(0_usize..40, 1..8), cut in 0_usize..300) {
            let bytes: Vec<u8> = lengths.iter().flat_map(|length| message(*length)).collect();
            let cut = cut.min(bytes.len());
            let mut scan = Scan::new(100);
            prop_assert_eq!(scan.take(&bytes[..cut]), Ok(()));
            let (mut start, mut expected, mut within) = (0, None, false);
            for length in lengths {
                let end = start + PREFIX + length;
                within |= start < cut && cut < end;
                if start + PREFIX <= cut && cut < end {
                    let come = (cut - start - PREFIX) as u32;
                    expected = Some(Begun { start, length: length as u32, come });
                }
                start = end;
            }
            prop_assert_eq!(scan.begun(), expected);
            prop_assert_eq!(scan.is_within(), within);
        }

        #[test]
        fn any_bytes_are_taken(chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..30), 0..20)) {
            let mut scan = Scan::new(1 << 20);
            for chunk in chunks {
                let _ = scan.take(&chunk);
            }
        }
    }

    #[test]
    fn what_is_no_grpc_is_not_followed() {
        let mut scan = Scan::new(10);
        assert_eq!(scan.take(b"<html>hello"), Ok(()));
        assert!(!scan.is_within() && scan.begun().is_none());
        assert_eq!(scan.take(&message(11)), Ok(()));
    }
}
