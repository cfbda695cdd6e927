//! Credits: how much of a body a peer may send.

/// What a frame with data costs beside its length, so that many tiny frames cannot hold more memory than few large ones.
pub(super) const FRAME_COST: u32 = 32;

/// The credit that this side has granted to its peer.
#[derive(Debug)]
pub(super) struct Granted {
    size: u32,
    /// How much of it the peer has left.
    left: u32,
    /// What was read and not yet granted again.
    owed: u32,
}

impl Granted {
    pub(super) fn new(size: u32) -> Self {
        Self { size, left: size, owed: 0 }
    }

    /// Takes note of data that arrived. Returns false if the peer had no credit for it.
    pub(super) fn spend(&mut self, length: usize) -> bool {
        let left = cost(length).and_then(|cost| self.left.checked_sub(cost));
        if let Some(left) = left {
            self.left = left;
        }
        left.is_some()
    }

    /// Takes note of data that was read. Returns the credit to grant, once it is worth a frame.
    pub(super) fn read(&mut self, length: usize) -> Option<u32> {
        self.owed = self.owed.saturating_add(cost(length).unwrap_or(0));
        if self.owed < self.size / 2 {
            return None;
        }
        self.left = self.left.saturating_add(self.owed);
        Some(std::mem::take(&mut self.owed))
    }
}

/// The cost of a frame with so much data. A frame without data only ends a body, and is free.
pub(super) fn cost(length: usize) -> Option<u32> {
    match length {
        0 => Some(0),
        _ => u32::try_from(length).ok()?.checked_add(FRAME_COST),
    }
}

/// How much data may be sent with this credit in one frame.
pub(super) fn affordable(credit: i64) -> usize {
    usize::try_from(credit - i64::from(FRAME_COST)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_sender_with_credit_is_never_refused(
            size in 1024_u32..10_000, lengths in prop::collection::vec(1_usize..5000, 1..100)
        ) {
            let (mut granted, mut credit) = (Granted::new(size), i64::from(size));
            for length in lengths {
                // A reader that reads everything lets the sender go on.
                let part = length.min(affordable(credit));
                prop_assert!(part > 0);
                credit -= i64::from(cost(part).unwrap());
                prop_assert!(granted.spend(part));
                credit += i64::from(granted.read(part).unwrap_or(0));
            }
        }
    }

    #[test]
    fn more_than_the_credit_is_refused() {
        let mut granted = Granted::new(100);
        assert!(granted.spend(68) && granted.spend(0));
        assert!(!granted.spend(1));
        assert_eq!(granted.read(10), None);
        assert_eq!(granted.read(10), Some(84));
        assert!(granted.spend(52) && !granted.spend(1));
    }
}
