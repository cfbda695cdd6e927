//! What the view knows: events and keys go in, and [`screen`](super::screen) shows the result. Nothing here waits, reads or prints.

use std::time::Instant;

use rpcplugin::hclog::Level;

use super::{
    journal::{Journal, Source, note},
    state::{CallCounts, Load, Rate, State},
};

/// Everything that the view shows.
#[derive(Debug)]
pub(super) struct Model {
    /// The file name of the plugin.
    pub(super) name: String,
    pub(super) state: State,
    /// How often the plugin was started again.
    pub(super) restarts: u32,
    pub(super) load: Load,
    pub(super) calls: CallCounts,
    pub(super) call_rate: Rate,
    /// Records and pieces of output that came too fast to be shown.
    pub(super) missed: u64,
    pub(super) journal: Journal,
    /// The entry at the bottom. `None` follows the newest.
    pub(super) bottom: Option<u64>,
    pub(super) mode: Mode,
    /// The level that the plugin is asked for at its next start.
    pub(super) plugin_level: Option<Level>,
    /// An answer to the last key.
    pub(super) notice: String,
    /// The rows of the body, at the last drawing.
    pub(super) page: usize,
    /// Whether something has changed since the last drawing.
    pub(super) is_stale: bool,
}

/// What keys are for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) enum Mode {
    #[default]
    Journal,
    /// Typing the filter. `before` is the filter that the Escape key brings back.
    Filter {
        before: String,
    },
    Help,
    Addresses,
}

impl Model {
    pub(super) fn new(name: String, level: Level) -> Self {
        Self {
            name,
            state: State::Starting,
            restarts: 0,
            load: Load::default(),
            calls: CallCounts::default(),
            call_rate: Rate::default(),
            missed: 0,
            journal: Journal::from_level(level),
            bottom: None,
            mode: Mode::Journal,
            plugin_level: None,
            notice: String::new(),
            page: 1,
            is_stale: true,
        }
    }

    /// Takes a log record or a line of output.
    pub(super) fn add(&mut self, source: Source, text: String) {
        self.journal.push(source, text);
        self.is_stale = true;
    }

    /// Takes a new state, and notes it in the journal.
    pub(super) fn enter(&mut self, state: State) {
        if matches!((&self.state, &state), (State::Stopped { .. } | State::Stopping { .. }, State::Starting))
        {
            self.restarts += 1;
        }
        let text = match &state {
            State::Starting => "starting".to_owned(),
            State::Running(running) => match running.pid {
                Some(pid) => format!("running: process {pid}, version {}", running.version),
                None => format!("running: version {}", running.version),
            },
            State::Stopping { again: true } => "restarting".to_owned(),
            State::Stopping { again: false } => "shutting down".to_owned(),
            State::Stopped { cause, .. } => format!("stopped: {cause}"),
        };
        match state {
            State::Running(_) => self.notice.clear(),
            _ => self.load = Load::default(),
        }
        self.state = state;
        self.add(Source::Note, note(&text));
    }

    /// Takes the counts of calls. `now` is the moment of the counts.
    pub(super) fn count(&mut self, now: Instant, calls: CallCounts) {
        let before = self.call_rate.per_second();
        let rate = self.call_rate.at(now, calls.begun);
        let is_same = rate.to_bits() == before.to_bits() && calls == self.calls;
        self.calls = calls;
        self.is_stale |= !is_same;
    }

    /// Moves back by this number of shown entries.
    pub(super) fn back(&mut self, entries: usize) {
        let from = self.bottom();
        let target = self.journal.back_from(from).take(entries + 1).last();
        self.bottom = Some(target.map_or(from, |entry| entry.number));
    }

    /// Moves on by this number of shown entries. Follows the newest behind the last.
    pub(super) fn forward(&mut self, entries: usize) {
        let Some(from) = self.bottom else { return };
        let target = self.journal.after(from).nth(entries.saturating_sub(1)).map(|entry| entry.number);
        self.bottom = target;
    }

    /// The entry at the bottom.
    pub(super) fn bottom(&self) -> u64 {
        self.bottom.unwrap_or_else(|| self.journal.newest())
    }

    /// Whether the plugin has a process, or is getting one.
    pub(super) fn is_up(&self) -> bool {
        matches!(self.state, State::Starting | State::Running(_))
    }
}

/// The variable by which plugins of this library are asked for a level.
pub(super) const LEVEL_VARIABLE: &str = "PLUGIN_LOG_LEVEL";
