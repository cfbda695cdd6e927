//! The last lines of a plugin's log and output, and which of them are shown.

use std::collections::VecDeque;

use rpcplugin::hclog::Level;

use crate::ui::style::{on_one_line, plain, strong};

/// Where a line is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    Log(Level),
    Output,
    /// This program: what happened to the plugin.
    Note,
}

/// Which sources are shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Sources {
    #[default]
    All,
    Log,
    Output,
}

/// A log record, a line of output or a note.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) number: u64,
    source: Source,
    /// With marks of styles, and cut to [`LONGEST`] bytes.
    pub(super) text: String,
    is_shown: bool,
}

/// The last entries, of which the filters show some.
#[derive(Debug)]
pub(super) struct Journal {
    entries: VecDeque<Entry>,
    bytes: usize,
    next: u64,
    level: Level,
    sources: Sources,
    /// In lower case.
    words: String,
}

impl Journal {
    /// Shows log records of this level and above.
    pub(super) fn from_level(level: Level) -> Self {
        Self {
            entries: VecDeque::new(),
            bytes: 0,
            next: 0,
            level,
            sources: Sources::All,
            words: String::new(),
        }
    }

    /// Adds an entry. The oldest are removed when there are more than [`MOST`] entries or [`MOST_BYTES`].
    pub(super) fn push(&mut self, source: Source, mut text: String) {
        if text.len() > LONGEST {
            let cut = boundary(&text, LONGEST);
            let more = text.len() - cut;
            text = format!("{}… ({more} more bytes)", &text[..cut]);
        }
        // What is counted is what is kept.
        text.shrink_to_fit();
        let mut entry = Entry { number: self.next, source, text, is_shown: false };
        entry.is_shown = self.shows(&entry);
        self.next += 1;
        self.bytes += entry.text.len();
        self.entries.push_back(entry);
        while self.entries.len() > MOST || self.bytes > MOST_BYTES {
            let Some(oldest) = self.entries.pop_front() else { return };
            self.bytes -= oldest.text.len();
        }
    }

    pub(super) fn level(&self) -> Level {
        self.level
    }

    pub(super) fn sources(&self) -> Sources {
        self.sources
    }

    pub(super) fn words(&self) -> &str {
        &self.words
    }

    pub(super) fn set_level(&mut self, level: Level) {
        self.level = level;
        self.filter();
    }

    pub(super) fn set_sources(&mut self, sources: Sources) {
        self.sources = sources;
        self.filter();
    }

    /// Shows only entries with this text, in upper or lower case.
    pub(super) fn set_words(&mut self, words: &str) {
        self.words = words.to_lowercase();
        self.filter();
    }

    /// The shown entries up to the entry of this number, the newest first.
    pub(super) fn back_from(&self, number: u64) -> impl Iterator<Item = &Entry> {
        self.entries.range(..self.place_after(number)).rev().filter(|entry| entry.is_shown)
    }

    /// The shown entries after the entry of this number, the oldest first.
    pub(super) fn after(&self, number: u64) -> impl Iterator<Item = &Entry> {
        self.entries.range(self.place_after(number)..).filter(|entry| entry.is_shown)
    }

    /// Returns the number of the newest entry, shown or not.
    pub(super) fn newest(&self) -> u64 {
        self.next.saturating_sub(1)
    }

    /// Returns the number of the oldest shown entry.
    pub(super) fn oldest(&self) -> u64 {
        self.entries.iter().find(|entry| entry.is_shown).map_or_else(|| self.newest(), |entry| entry.number)
    }

    /// The index behind the entry of this number.
    fn place_after(&self, number: u64) -> usize {
        self.entries.partition_point(|entry| entry.number <= number)
    }

    fn filter(&mut self) {
        let mut entries = std::mem::take(&mut self.entries);
        for entry in &mut entries {
            entry.is_shown = self.shows(entry);
        }
        self.entries = entries;
    }

    fn shows(&self, entry: &Entry) -> bool {
        let of_source = match entry.source {
            Source::Log(level) => level >= self.level && self.sources != Sources::Output,
            Source::Output => self.sources != Sources::Log,
            Source::Note => true,
        };
        of_source && (self.words.is_empty() || plain(&entry.text).to_lowercase().contains(&self.words))
    }
}

impl Sources {
    pub(super) fn next(self) -> Self {
        match self {
            Self::All => Self::Log,
            Self::Log => Self::Output,
            Self::Output => Self::All,
        }
    }
}

/// Styles a note of this program in the journal.
pub(super) fn note(text: &str) -> String {
    strong(format_args!("── {}", on_one_line(text)))
}

/// Returns the last place at or before `place` where no character is cut.
fn boundary(text: &str, place: usize) -> usize {
    (0..=place).rev().find(|place| text.is_char_boundary(*place)).unwrap_or_default()
}

/// The number of entries that are kept.
pub(super) const MOST: usize = 10_000;

/// The bytes of all entries that are kept.
const MOST_BYTES: usize = 8 << 20;

/// The bytes of an entry that are kept.
const LONGEST: usize = 4 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(journal: &Journal) -> Vec<&str> {
        journal.back_from(journal.newest()).map(|entry| entry.text.as_str()).collect()
    }

    fn filled() -> Journal {
        let mut journal = Journal::from_level(Level::Debug);
        journal.push(Source::Log(Level::Trace), "a trace".to_owned());
        journal.push(Source::Log(Level::Info), "an info".to_owned());
        journal.push(Source::Output, "Printed".to_owned());
        journal.push(Source::Log(Level::Error), "an error".to_owned());
        journal.push(Source::Note, "started".to_owned());
        journal
    }

    #[test]
    fn filters_apply_to_what_is_kept() {
        let mut journal = filled();
        assert_eq!(shown(&journal), ["started", "an error", "Printed", "an info"]);
        journal.set_level(Level::Trace);
        assert_eq!(shown(&journal).len(), 5);
        journal.set_sources(Sources::Output);
        assert_eq!(shown(&journal), ["started", "Printed"]);
        journal.set_sources(Sources::Log);
        journal.set_level(Level::Warn);
        assert_eq!(shown(&journal), ["started", "an error"]);
        journal.set_sources(Sources::All);
        journal.set_words("PRINT");
        assert_eq!(shown(&journal), ["Printed"]);
        assert_eq!((journal.oldest(), journal.newest()), (2, 4));
        journal.push(Source::Output, "printed again".to_owned());
        journal.push(Source::Output, "other".to_owned());
        assert_eq!(shown(&journal), ["printed again", "Printed"]);
        assert_eq!(journal.after(2).map(|entry| entry.number).collect::<Vec<_>>(), [5]);
    }

    #[test]
    fn entries_and_bytes_are_bounded() {
        let mut journal = Journal::from_level(Level::Info);
        for number in 0..MOST + 5 {
            journal.push(Source::Output, number.to_string());
        }
        assert_eq!((journal.entries.len(), journal.oldest()), (MOST, 5));
        for _ in 0..MOST {
            journal.push(Source::Output, "ü".repeat(LONGEST));
        }
        let mut roomy = String::with_capacity(1 << 20);
        roomy.push('x');
        journal.push(Source::Output, roomy);
        assert!(journal.bytes <= MOST_BYTES, "{}", journal.bytes);
        let text = &journal.entries[0].text;
        assert!(text.ends_with("… (4096 more bytes)") && text.len() < LONGEST + 40, "{}", text.len());
        assert_eq!(journal.bytes, journal.entries.iter().map(|entry| entry.text.len()).sum::<usize>());
        // No text has room that is not counted.
        assert_eq!(journal.bytes, journal.entries.iter().map(|entry| entry.text.capacity()).sum::<usize>());
    }
}
