//! The report of a conformance.

use std::fmt;

/// A case of a [`RunnerConformance`](crate::RunnerConformance).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum RunnerCase {
    /// A plugin is launched, takes calls, and shuts down with status 0.
    Launch,
    /// Each line on stderr reaches the host once and in order, from before the handshake line and from after it.
    Log,
    /// The status of a plugin that exits in a call is reported, and the call fails.
    Exit,
    /// A plugin that does not end when it is asked to is killed.
    Kill,
    /// Dropping a plugin ends it.
    Drop,
    /// A launch that is given up at any moment leaves nothing, and the next one succeeds.
    Cancel,
    /// Several plugins at once do not disturb each other.
    Several,
    /// A supervised plugin is restarted.
    Restart,
    /// The status and the last lines of a plugin that exits without a handshake line are reported.
    ExitEarly,
    /// A plugin that prints no handshake line is given up when the launch timeout is over, and ended.
    Silent,
    /// A program that does not exist is a fault at once.
    Missing,
}

/// The outcome of a case.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum CaseOutcome {
    /// The runner does what it has to.
    Passed,
    /// The runner does not, and the text says what was seen.
    Failed(String),
    /// The case was not run, or could not see the result. The text is the reason.
    Skipped(String),
}

/// The outcomes of all cases. [`Display`](fmt::Display) writes a line for each case.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunnerReport {
    results: Vec<(RunnerCase, CaseOutcome)>,
}

impl RunnerCase {
    /// All cases, in the order in which they run.
    pub const ALL: [Self; 11] = [
        Self::Launch,
        Self::Log,
        Self::Exit,
        Self::Kill,
        Self::Drop,
        Self::Cancel,
        Self::Several,
        Self::Restart,
        Self::ExitEarly,
        Self::Silent,
        Self::Missing,
    ];

    /// The name of the case in reports.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Launch => "launch",
            Self::Log => "log",
            Self::Exit => "exit",
            Self::Kill => "kill",
            Self::Drop => "drop",
            Self::Cancel => "cancel",
            Self::Several => "several",
            Self::Restart => "restart",
            Self::ExitEarly => "exit-early",
            Self::Silent => "silent",
            Self::Missing => "missing",
        }
    }
}

impl RunnerReport {
    pub(super) fn add(&mut self, case: RunnerCase, outcome: CaseOutcome) {
        self.results.push((case, outcome));
    }

    /// Whether no case failed. Skipped cases do not count.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.results.iter().all(|(_, outcome)| !matches!(outcome, CaseOutcome::Failed(_)))
    }

    /// The outcome of each case, in the order in which they ran.
    #[must_use]
    pub fn results(&self) -> &[(RunnerCase, CaseOutcome)] {
        &self.results
    }

    /// The outcome of a case.
    #[must_use]
    pub fn outcome(&self, case: RunnerCase) -> Option<&CaseOutcome> {
        self.results.iter().find(|(known, _)| *known == case).map(|(_, outcome)| outcome)
    }
}

impl fmt::Display for RunnerCase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Display for RunnerReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (case, outcome) in &self.results {
            match outcome {
                CaseOutcome::Passed => writeln!(f, "PASS {case}")?,
                CaseOutcome::Failed(seen) => writeln!(f, "FAIL {case}: {}", seen.replace('\n', "\n     "))?,
                CaseOutcome::Skipped(reason) => writeln!(f, "SKIP {case}: {reason}")?,
            }
        }
        Ok(())
    }
}
