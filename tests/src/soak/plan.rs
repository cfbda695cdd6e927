//! The plans: what each plugin goes through, drawn from the seed before the plugin is launched.
//!
//! A plan depends on the seed, the slot and the number of the life in this slot only. So a life can be repeated alone,
//! whatever the other slots did at the same time.

use std::fmt;

use fastrand::Rng;

/// The language of a plugin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Language {
    Rust,
    Go,
    Python,
}

/// The settings of the connection.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Mode {
    pub(crate) auto_mtls: bool,
    pub(crate) mux: bool,
    pub(crate) lane: bool,
    pub(crate) inherit: bool,
}

/// Which life of which slot.
#[derive(Debug, Clone)]
pub(crate) struct LifeId {
    pub(crate) slot: usize,
    pub(crate) number: u64,
}

/// One plugin from its launch to its end.
#[derive(Debug, Clone)]
pub(crate) struct Life {
    pub(crate) language: Language,
    pub(crate) mode: Mode,
    pub(crate) steps: Vec<Step>,
    pub(crate) end: End,
}

/// A part of a life. The parts follow each other.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Step {
    /// Unary calls.
    Calls { seed: u64, count: usize, at_once: usize },
    /// One stream of each kind.
    Streams { seed: u64 },
    /// The plugin dials the host.
    Callback { times: usize, calls: u32, nested: bool },
    /// The host dials the plugin.
    OpenSub { times: usize, ticks: i64 },
    /// Output of the plugin on stdout, on stderr, and on the stderr of its log.
    Flood { kib: usize },
    /// SIGSTOP, a call that is not answered in time, SIGCONT.
    Suspend,
    /// A call that the host gives up.
    Cancel { after_ms: u64 },
    /// A call whose deadline passes.
    Late { after_ms: u64 },
    /// The plugin can open no further file for a while.
    FewDescriptors,
}

/// The end of a life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    ShutDown,
    /// The handle is dropped, which kills the plugin.
    Drop,
    /// SIGKILL while no call is in flight.
    Kill,
    /// SIGKILL while calls and a stream are in flight.
    KillBusy,
    Exit(i32),
    Panic,
    /// The plugin is suspended and then shut down, so that it has to be killed.
    SuspendedShutDown,
    /// The plugin asks for more memory than its limit.
    Memory,
}

impl Life {
    /// The life with this id.
    pub(crate) fn draw(seed: u64, id: &LifeId, language: Language) -> Self {
        let rng = &mut rng(seed, id);
        let mode = Mode::draw(rng, language);
        let count = if language == Language::Python { rng.usize(4..12) } else { rng.usize(2..9) };
        let steps = (0..count).map(|_| Step::draw(rng, language)).collect();
        Self { language, mode, steps, end: End::draw(rng) }
    }
}

/// The random numbers of one life.
pub(crate) fn rng(seed: u64, id: &LifeId) -> Rng {
    // Mixed, so that neighbours have nothing in common.
    let mixed = seed ^ (id.slot as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ id.number.rotate_left(32);
    let mut first = Rng::with_seed(mixed);
    Rng::with_seed(first.u64(..))
}

impl Mode {
    fn draw(rng: &mut Rng, language: Language) -> Self {
        Self {
            auto_mtls: rng.bool(),
            // Plugins of pyvider refuse it.
            mux: language != Language::Python && rng.bool(),
            // Plugins that do not know these two go on without them.
            lane: rng.u8(..3) == 0,
            inherit: rng.u8(..3) == 0,
        }
    }
}

impl Step {
    /// A step that any plugin can take more than once.
    pub(crate) fn draw(rng: &mut Rng, language: Language) -> Self {
        let brokers = language != Language::Python;
        match rng.u8(..100) {
            0..40 => Self::Calls { seed: rng.u64(..), count: rng.usize(10..150), at_once: rng.usize(1..9) },
            40..52 => Self::Streams { seed: rng.u64(..) },
            52..66 if brokers => {
                Self::Callback { times: rng.usize(1..12), calls: rng.u32(1..4), nested: rng.bool() }
            }
            66..80 if brokers => Self::OpenSub { times: rng.usize(1..12), ticks: rng.i64(0..20) },
            80..84 => Self::Flood { kib: rng.usize(1..512) },
            84..87 => Self::Suspend,
            87..92 => Self::Cancel { after_ms: rng.u64(0..20) },
            92..95 => Self::Late { after_ms: rng.u64(1..100) },
            // A plugin of go-plugin ends when it cannot accept a connection.
            95..97 if language == Language::Rust => Self::FewDescriptors,
            _ => Self::Calls { seed: rng.u64(..), count: rng.usize(1..20), at_once: 1 },
        }
    }
}

impl End {
    fn draw(rng: &mut Rng) -> Self {
        match rng.u8(..100) {
            0..45 => Self::ShutDown,
            45..55 => Self::Drop,
            55..65 => Self::Kill,
            65..80 => Self::KillBusy,
            80..87 => Self::Exit(rng.i32(1..100)),
            87..92 => Self::Panic,
            92..96 => Self::SuspendedShutDown,
            _ => Self::Memory,
        }
    }
}

impl fmt::Display for LifeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.slot, self.number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_is_that_of_its_seed_slot_and_number() {
        let plan =
            |seed, slot, number| format!("{:?}", Life::draw(seed, &LifeId { slot, number }, Language::Rust));
        assert_eq!(plan(1, 2, 3), plan(1, 2, 3));
        let all = [plan(1, 2, 3), plan(2, 2, 3), plan(1, 3, 3), plan(1, 2, 4)];
        for (number, one) in all.iter().enumerate() {
            assert!(!all[..number].contains(one), "{one}");
        }
    }
}
