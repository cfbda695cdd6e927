//! Numbers, booleans and durations as Go parses them, so that both languages accept the same text.

use std::time::Duration;

/// Parses a decimal like `strconv.Atoi`: an optional sign, then digits with optional leading zeros.
pub(crate) fn integer(text: &str) -> Option<i64> {
    text.parse().ok()
}

/// Parses a boolean like `strconv.ParseBool`.
pub(crate) fn boolean(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Some(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Some(false),
        _ => None,
    }
}

/// Parses a duration like `time.ParseDuration`, without a sign: numbers with units, such as `1m30s`. Differs: a number without a
/// unit counts seconds.
pub(crate) fn duration(text: &str) -> Option<Duration> {
    if let Some(seconds) = decimal(text) {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let mut total = Duration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let (number, after) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit() && c != '.')?);
        let end = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let (unit, after) = after.split_at(end);
        let (_, seconds) = UNITS.iter().find(|(name, _)| *name == unit)?;
        total = total.checked_add(Duration::try_from_secs_f64(decimal(number)? * seconds).ok()?)?;
        rest = after;
    }
    (!text.is_empty()).then_some(total)
}

/// Parses at least one digit, with at most one point before, between or after the digits.
fn decimal(text: &str) -> Option<f64> {
    if text.chars().all(|c| c.is_ascii_digit() || c == '.') { text.parse().ok() } else { None }
}

/// The units of a duration, in seconds. Microseconds have the micro sign, or the Greek letter.
const UNITS: [(&str, f64); 8] = [
    ("h", 3600.0),
    ("m", 60.0),
    ("s", 1.0),
    ("ms", 1e-3),
    ("us", 1e-6),
    ("\u{b5}s", 1e-6),
    ("\u{3bc}s", 1e-6),
    ("ns", 1e-9),
];
