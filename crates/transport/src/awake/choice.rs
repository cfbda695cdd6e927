//! The choice between a wait asleep and a wait awake, by the time that both have taken.

use std::time::Duration;

/// Whether the next wait is asleep or awake.
///
/// Some waits of each kind are timed in turn, and the better kind is used for the next ones. Then both are timed again, because the load
/// of the machine, the cores that the system assigns, and the calls change.
#[derive(Debug)]
pub(super) struct Choice {
    stage: Stage,
    /// The waits that are left in this stage.
    left: u32,
    /// The time of the waits in this stage.
    spent: Duration,
    /// The time of the last [`TIMED`] waits asleep that were timed.
    asleep: Duration,
    /// The last decision, and the number of waits that it was for.
    decided: (Stage, u32),
    /// How many waits in a row took longer than [`LONGEST`].
    in_vain: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    TimeAsleep,
    TimeAwake,
    Asleep,
    Awake,
}

impl Choice {
    pub(super) fn is_awake(&self) -> bool {
        matches!(self.stage, Stage::TimeAwake | Stage::Awake)
    }

    /// Adds a wait, from the first write to the next bytes of the peer.
    pub(super) fn add(&mut self, wait: Duration) {
        self.in_vain = if wait < LONGEST { 0 } else { self.in_vain + 1 };
        // A pause of seconds must not outweigh the other waits.
        self.spent += wait.min(LONGEST * 4);
        self.left -= 1;
        if self.left == 0 {
            self.next_stage();
        } else if self.stage == Stage::Awake && self.in_vain == IN_VAIN {
            self.decide(Stage::Asleep);
        }
    }

    fn next_stage(&mut self) {
        match self.stage {
            Stage::Asleep | Stage::Awake => self.begin(Stage::TimeAsleep, TIMED),
            Stage::TimeAsleep => {
                self.asleep = self.spent;
                self.begin(Stage::TimeAwake, TIMED);
            }
            // A wait awake takes the time of a core, so that a small gain is not worth it.
            Stage::TimeAwake if self.spent * 5 < self.asleep * 3 => self.decide(Stage::Awake),
            Stage::TimeAwake => self.decide(Stage::Asleep),
        }
    }

    fn decide(&mut self, stage: Stage) {
        let waits = match self.decided {
            (last, waits) if last == stage => (waits * 2).min(DECIDED_LAST),
            _ => DECIDED_FIRST,
        };
        self.decided = (stage, waits);
        self.begin(stage, waits);
    }

    fn begin(&mut self, stage: Stage, waits: u32) {
        (self.stage, self.left, self.spent, self.in_vain) = (stage, waits, Duration::ZERO, 0);
    }
}

impl Default for Choice {
    fn default() -> Self {
        Self {
            stage: Stage::TimeAsleep,
            left: TIMED,
            spent: Duration::ZERO,
            asleep: Duration::ZERO,
            decided: (Stage::TimeAsleep, 0),
            in_vain: 0,
        }
    }
}

/// How long a wait is awake, at most.
pub(super) const LONGEST: Duration = Duration::from_micros(50);

/// How many waits of each kind are timed.
const TIMED: u32 = 16;

/// How many waits the first decision is for. One that is like the last is for twice as many.
const DECIDED_FIRST: u32 = 256;

/// How many waits a decision is for, at most.
const DECIDED_LAST: u32 = 1 << 14;

/// How many waits in a row that were longer than [`LONGEST`] end a decision for waits awake.
const IN_VAIN: u32 = 8;

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_micros(12);
    const LONG: Duration = Duration::from_micros(40);
    const PAUSE: Duration = Duration::from_secs(1);

    /// Adds waits that take one time asleep and another one awake. Returns how many of them were awake.
    fn waits(choice: &mut Choice, count: u32, asleep: Duration, awake: Duration) -> u32 {
        let mut awakes = 0;
        for _ in 0..count {
            awakes += u32::from(choice.is_awake());
            choice.add(if choice.is_awake() { awake } else { asleep });
        }
        awakes
    }

    #[test]
    fn the_first_waits_are_asleep() {
        assert_eq!(waits(&mut Choice::default(), TIMED, LONG, SHORT), 0);
    }

    #[test]
    fn waits_are_awake_where_that_is_faster() {
        let awake = waits(&mut Choice::default(), 100_000, LONG, SHORT);
        assert!(awake > 99_000, "{awake}");
    }

    #[test]
    fn waits_are_asleep_where_awake_is_hardly_faster() {
        for awake in [LONG, LONG * 2 / 3, PAUSE] {
            let awake = waits(&mut Choice::default(), 100_000, LONG, awake);
            assert!(awake < 1000, "{awake}");
        }
    }

    #[test]
    fn pauses_end_the_waits_awake_at_once() {
        let mut choice = Choice::default();
        waits(&mut choice, 100_000, LONG, SHORT);
        let awake = waits(&mut choice, 10_000, PAUSE, PAUSE);
        assert!(awake <= IN_VAIN + 8 * TIMED, "{awake}");
    }

    #[test]
    fn a_single_pause_changes_nothing() {
        let mut choice = Choice::default();
        waits(&mut choice, 2 * TIMED + 1, LONG, SHORT);
        assert!(choice.is_awake());
        choice.add(PAUSE);
        assert!(choice.is_awake());
    }

    #[test]
    fn another_load_is_noticed() {
        let mut choice = Choice::default();
        waits(&mut choice, 100_000, LONG, LONG);
        waits(&mut choice, DECIDED_LAST + 2 * TIMED, LONG, SHORT);
        assert!(choice.is_awake());
    }
}
