//! The lines of a log that a repeated request may bring again.

use std::{
    collections::{HashMap, VecDeque},
    hash::{DefaultHasher, Hash as _, Hasher as _},
};

use k8s_openapi::jiff::{SignedDuration, Timestamp};

/// The newest lines that were passed on.
///
/// Lines are in the order of the log's file, in which timestamps of stdout and stderr may be swapped by a moment.
#[derive(Debug, Default)]
pub(crate) struct Recent {
    lines: VecDeque<(Timestamp, u64)>,
    newest: Option<Timestamp>,
    /// Lines up to this time are not kept, and were passed on.
    forgotten: Option<Timestamp>,
}

/// The lines of a new answer that are not new, as far as they have not come again yet.
#[derive(Debug)]
pub(crate) struct Seen {
    lines: HashMap<u64, u32>,
    forgotten: Option<Timestamp>,
    /// Whether lines may come again. A first answer is all new.
    repeats: bool,
}

/// Splits a line into its timestamp and its text. Without a timestamp, all of it is text.
pub(crate) fn split(line: &[u8]) -> (Option<Timestamp>, &[u8]) {
    let Some(space) = line.iter().take(LONGEST_TIMESTAMP).position(|byte| *byte == b' ') else {
        return (None, line);
    };
    let time = std::str::from_utf8(&line[..space]).ok().and_then(|text| text.parse().ok());
    match time {
        Some(time) => (Some(time), &line[space + 1..]),
        None => (None, line),
    }
}

impl Recent {
    /// Remembers a line that was passed on.
    pub(crate) fn add(&mut self, time: Option<Timestamp>, line: &[u8]) {
        let Some(time) = time else { return };
        let newest = self.newest.map_or(time, |newest| newest.max(time));
        self.newest = Some(newest);
        self.lines.push_back((time, key(line)));
        while let Some((oldest, _)) = self.lines.front().copied() {
            let is_old = newest.duration_since(oldest) > KEPT;
            if !is_old && self.lines.len() <= MOST {
                break;
            }
            if !is_old {
                self.forgotten = self.forgotten.max(Some(oldest));
            }
            self.lines.pop_front();
        }
    }

    /// The time from which a new request has to ask: before the last line, in whole seconds.
    pub(crate) fn since(&self) -> Option<Timestamp> {
        let before = self.newest?.checked_sub(BACK).ok()?;
        Timestamp::from_second(before.as_second()).ok()
    }

    /// The lines that the answer to a new request brings again.
    pub(crate) fn seen(&self) -> Seen {
        let mut lines = HashMap::new();
        for (_, key) in &self.lines {
            *lines.entry(*key).or_insert(0) += 1;
        }
        Seen { lines, forgotten: self.forgotten, repeats: self.newest.is_some() }
    }
}

impl Seen {
    /// Whether this line of the answer was passed on before. A line without a timestamp at the beginning of an answer is the rest of
    /// one that was.
    pub(crate) fn skips(&mut self, time: Option<Timestamp>, line: &[u8]) -> bool {
        let Some(time) = time else { return self.repeats };
        if self.forgotten.is_some_and(|forgotten| time <= forgotten) {
            return true;
        }
        match self.lines.get_mut(&key(line)) {
            Some(count) if *count > 0 => {
                *count -= 1;
                true
            }
            _ => {
                self.repeats = false;
                false
            }
        }
    }
}

/// A line with its timestamp. Of a long line, its beginning.
fn key(line: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    line.trim_ascii_end()[..].iter().take(LONGEST_KEY).for_each(|byte| byte.hash(&mut hasher));
    hasher.finish()
}

/// The longest form of a timestamp: nine digits of a second, and an offset.
const LONGEST_TIMESTAMP: usize = 40;
const LONGEST_KEY: usize = 64 << 10;
/// How long before the last line a new request begins. The API server counts whole seconds.
const BACK: SignedDuration = SignedDuration::from_secs(1);
/// How long a line is remembered: longer than a new request reaches back.
const KEPT: SignedDuration = SignedDuration::from_secs(3);
/// The number of lines that are remembered.
const MOST: usize = 32 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    fn line(second: u32, nanosecond: u32, text: &str) -> String {
        format!("2026-11-30T10:00:{second:02}.{nanosecond:09}Z {text}\n")
    }

    /// Passes on those lines of an answer that are new.
    fn pass(recent: &mut Recent, answer: &[String]) -> Vec<String> {
        let mut seen = recent.seen();
        let mut new = Vec::new();
        for line in answer {
            let (time, text) = split(line.as_bytes());
            if !seen.skips(time, line.as_bytes()) {
                recent.add(time, line.as_bytes());
                new.push(String::from_utf8(text.to_vec()).unwrap().trim_end().to_owned());
            }
        }
        new
    }

    #[test]
    fn a_timestamp_is_split_off() {
        let stamped = line(1, 5, "hello world");
        let (time, text) = split(stamped.as_bytes());
        assert_eq!(time.unwrap().to_string(), "2026-11-30T10:00:01.000000005Z");
        assert_eq!(text, b"hello world\n");
        assert_eq!(split(b"2026-11-30T10:00:01.5+02:00 x").1, b"x");
        assert_eq!(split(b"no timestamp\n"), (None, &b"no timestamp\n"[..]));
        assert_eq!(split(b"2026-11-30T10:00:01Z \n").1, b"\n", "an empty line");
    }

    #[test]
    fn lines_that_come_again_are_left_out() {
        let mut recent = Recent::default();
        // Two lines are the same to the nanosecond, and two have their times swapped.
        let first = vec![
            line(1, 0, "a"),
            line(2, 1, "b"),
            line(2, 1, "b"),
            line(2, 9, "d"),
            line(2, 8, "c"),
            line(2, 9, "e"),
        ];
        assert_eq!(pass(&mut recent, &first), ["a", "b", "b", "d", "c", "e"]);
        assert_eq!(recent.since().unwrap().to_string(), "2026-11-30T10:00:01Z");
        let mut again = first.clone();
        again.extend([line(2, 8, "late"), line(2, 9, "e"), line(3, 0, "f")]);
        assert_eq!(pass(&mut recent, &again), ["late", "e", "f"]);
        assert_eq!(pass(&mut recent, &again), Vec::<String>::new());
    }

    #[test]
    fn the_rest_of_a_line_at_the_beginning_of_an_answer_is_left_out() {
        let mut recent = Recent::default();
        let first = [line(1, 0, "a")];
        pass(&mut recent, &first);
        let again = [
            "rest of a long line\n".to_owned(),
            line(1, 0, "a"),
            line(2, 0, "b"),
            "no timestamp\n".to_owned(),
        ];
        assert_eq!(pass(&mut recent, &again), ["b", "no timestamp"]);
    }

    #[test]
    fn the_memory_of_lines_is_limited() {
        let mut recent = Recent::default();
        let many: Vec<String> =
            (0..MOST as u32 + 100).map(|number| line(1, number, &number.to_string())).collect();
        assert_eq!(pass(&mut recent, &many).len(), many.len());
        assert_eq!(recent.lines.len(), MOST);
        assert_eq!(pass(&mut recent, &many), Vec::<String>::new());
        for second in 2..50 {
            pass(&mut recent, &[line(second, 0, "tick")]);
        }
        assert!(recent.lines.len() <= 5, "{}", recent.lines.len());
    }
}
