//! Counts the gRPC messages in one body.

/// Follows the messages of a body by the length before each.
#[derive(Debug, Default)]
pub(super) struct Messages {
    prefix: [u8; PREFIX],
    have: usize,
    left: usize,
}

impl Messages {
    /// Takes the next bytes and returns how many messages end in them.
    pub(super) fn count(&mut self, mut data: &[u8]) -> u64 {
        let mut ended = 0;
        while !data.is_empty() {
            if self.have < PREFIX {
                let taken = data.len().min(PREFIX - self.have);
                self.prefix[self.have..self.have + taken].copy_from_slice(&data[..taken]);
                self.have += taken;
                data = &data[taken..];
                if self.have < PREFIX {
                    return ended;
                }
                let [_, length @ ..] = self.prefix;
                self.left = u32::from_be_bytes(length) as usize;
            }
            let taken = data.len().min(self.left);
            self.left -= taken;
            data = &data[taken..];
            if self.left == 0 {
                self.have = 0;
                ended += 1;
            }
        }
        ended
    }
}

/// Whether the message is compressed, and its length.
const PREFIX: usize = 5;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_counted_however_they_are_cut() {
        let body: Vec<u8> = [0_u32, 3, 0, 300]
            .into_iter()
            .flat_map(|length| [&[0][..], &length.to_be_bytes(), &vec![7; length as usize]].concat())
            .collect();
        for cut in [1, 4, 5, 6, 100, 1000] {
            let mut messages = Messages::default();
            assert_eq!(body.chunks(cut).map(|piece| messages.count(piece)).sum::<u64>(), 4, "{cut}");
        }
    }
}
