//! The figures of a run, as `kit-soak` writes them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use serde::Deserialize;

use crate::workspace::Outcome;

/// What a run counted.
#[derive(Debug, Deserialize)]
pub(super) struct Summary {
    seed: u64,
    seconds: u64,
    calls: u64,
    answered: u64,
    brokered: u64,
    launches: u64,
    restarts: u64,
    output_bytes: u64,
    latest_ms: u64,
    refused_ms: u64,
    faults: BTreeMap<String, u64>,
    pub(super) rests: Vec<Sample>,
    flat: Vec<Flatness>,
    notes: Vec<String>,
    broken: Vec<String>,
}

/// What one process used.
#[derive(Debug, Clone, Copy, Deserialize)]
pub(super) struct Use {
    pub(super) rss_kib: f64,
    pub(super) descriptors: f64,
    pub(super) threads: f64,
}

/// What the host and the plugins used at one moment.
#[derive(Debug, Deserialize)]
pub(super) struct Sample {
    pub(super) seconds: f64,
    pub(super) host: Use,
    pub(super) tasks: f64,
    pub(super) files: f64,
    pub(super) children: f64,
    pub(super) calls: f64,
    pub(super) residents: Vec<(String, Use)>,
}

/// A value over the run, and its bound.
#[derive(Debug, Deserialize)]
struct Flatness {
    what: String,
    first: f64,
    last: f64,
    growth: f64,
    bound: f64,
}

/// The samples of a run, one for each second.
pub(super) fn samples(file: &Path) -> Outcome<Vec<Sample>> {
    let text = fs::read_to_string(file)?;
    // The last line may be cut.
    Ok(text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect())
}

impl Summary {
    pub(super) fn read(file: &Path) -> Outcome<Self> {
        Ok(serde_json::from_str(&fs::read_to_string(file)?)?)
    }

    /// The tables of the page.
    pub(super) fn markdown(&self) -> String {
        let mut text = format!(
            "Run with the seed {}, for {}: {} broken.\n\n| counted | |\n|---|--:|\n",
            self.seed,
            duration(self.seconds),
            match self.broken.len() {
                0 => "no promise was".to_owned(),
                1 => "1 promise was".to_owned(),
                more => format!("{more} promises were"),
            },
        );
        let rows = [
            ("calls", grouped(self.calls)),
            ("calls that were answered; the others failed as their fault demands", grouped(self.answered)),
            ("brokered connections", grouped(self.brokered)),
            ("launches", grouped(self.launches)),
            ("of these, restarts of supervised plugins", grouped(self.restarts)),
            ("output of plugins, MiB", grouped(self.output_bytes >> 20)),
            ("the latest end of a call, after its deadline, ms", grouped(self.latest_ms)),
            ("the longest launch that a fault of the host made fail, ms", grouped(self.refused_ms)),
        ];
        for (what, value) in rows {
            let _ = writeln!(text, "| {what} | {value} |");
        }
        text += "\n| injected | times |\n|---|--:|\n";
        for (fault, times) in &self.faults {
            let _ = writeln!(text, "| {fault} | {} |", grouped(*times));
        }
        text +=
            "\n| after the warm-up | first | last | growth of the line | bound |\n|---|--:|--:|--:|--:|\n";
        for Flatness { what, first, last, growth, bound } in &self.flat {
            let _ = writeln!(text, "| {what} | {first:.0} | {last:.0} | {growth:.1} | {bound:.0} |");
        }
        for note in &self.notes {
            let _ = writeln!(text, "\nNote: {note}.");
        }
        text + "\n"
    }
}

/// A number with a blank between each three digits.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

fn duration(seconds: u64) -> String {
    let minutes = seconds / 60;
    if minutes >= 120 { format!("{} h {} min", minutes / 60, minutes % 60) } else { format!("{minutes} min") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_grouped() {
        assert_eq!([0, 12, 1234, 1_000_000].map(grouped), ["0", "12", "1 234", "1 000 000"]);
        assert_eq!([299, 7205].map(duration), ["4 min", "2 h 0 min"]);
    }
}
