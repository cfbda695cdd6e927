//! Durations.

use std::time::Duration;

use super::text::Text;

/// The text has units, such as `500ms` or `1m30s`, or is a plain number of seconds with an optional fraction.
impl Text for Duration {
    const ALLOWED: &'static str = "a duration, such as 500ms, 2s, 1m30s or 1h, or a plain number of seconds";
    const UNIT: &'static str = "seconds";

    fn from_text(text: &str) -> Option<Self> {
        if let Some(seconds) = decimal(text) {
            return Self::try_from_secs_f64(seconds).ok();
        }
        let mut total = Self::ZERO;
        let mut rest = text;
        while !rest.is_empty() {
            let (number, after) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit() && c != '.')?);
            let after = after.trim_start();
            let (unit, after) =
                after.split_at(after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len()));
            let size = UNITS.iter().find(|(name, _)| *name == unit)?.1;
            // Whole numbers are exact. Only a fraction goes through floating point.
            let part = match number.parse::<u64>() {
                Ok(count) => Self::from_nanos(size.checked_mul(count)?),
                Err(_) => {
                    Self::try_from_secs_f64(decimal(number)? * Self::from_nanos(size).as_secs_f64()).ok()?
                }
            };
            total = total.checked_add(part)?;
            rest = after.trim_start();
        }
        (!text.is_empty()).then_some(total)
    }

    fn to_text(&self) -> String {
        let mut rest = self.as_nanos();
        let mut text = String::new();
        for (unit, size) in UNITS {
            let count = rest / u128::from(size);
            if count > 0 {
                text += &format!("{count}{unit}");
            }
            rest %= u128::from(size);
        }
        if text.is_empty() { "0s".to_owned() } else { text }
    }
}

/// A number of digits with at most one point in it: no sign, no exponent, no infinity.
fn decimal(text: &str) -> Option<f64> {
    let plain = text.starts_with(|c: char| c.is_ascii_digit())
        && text.chars().all(|c| c.is_ascii_digit() || c == '.');
    if plain { text.parse().ok() } else { None }
}

/// Units in nanoseconds, the largest first.
const UNITS: [(&str, u64); 7] = [
    ("d", 86_400_000_000_000),
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_with_and_without_units_are_read() {
        for (text, milliseconds) in [
            ("500ms", 500),
            ("2s", 2_000),
            ("1m30s", 90_000),
            ("1m 30s", 90_000),
            ("1.5s", 1_500),
            ("2h", 7_200_000),
            ("1d", 86_400_000),
            ("10", 10_000),
            ("0.5", 500),
            ("0", 0),
        ] {
            assert_eq!(Duration::from_text(text), Some(Duration::from_millis(milliseconds)), "{text}");
        }
    }

    #[test]
    fn other_text_is_refused() {
        for text in [
            "",
            "soon",
            "-1",
            "1e3",
            "inf",
            "nan",
            "5 parsecs",
            "1s2",
            "ms",
            "1..5s",
            "s1",
            "99999999999999999999d",
        ] {
            assert_eq!(Duration::from_text(text), None, "{text}");
        }
    }

    #[test]
    fn rendered_text_is_read_back() {
        for text in ["0s", "500ms", "1m30s", "1d2h", "1s1ns", "5m"] {
            assert_eq!(Duration::from_text(text).map(|span| span.to_text()).as_deref(), Some(text));
        }
    }
}
