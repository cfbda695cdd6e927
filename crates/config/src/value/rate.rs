//! Rates of calls.

use std::{collections::BTreeMap, fmt};

use super::text::{NONE, Shape, Text};

/// A rate of calls: calls per second, and calls at once. Its text is `100/200`. Without the second number, the burst is the first
/// number rounded up.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Rate {
    /// Calls per second in the long run. More than 0.
    pub requests_per_second: f64,
    /// Calls that may come at once after an idle time. At least 1.
    pub burst_capacity: u32,
}

/// Rates by name. The text is `kv.KV=10/20, kv.Admin=1`; in a file it may be a table.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Rates(BTreeMap<String, Rate>);

impl Rate {
    /// Creates a rate. Returns `None` unless both numbers are more than 0.
    #[must_use]
    pub fn new(requests_per_second: f64, burst_capacity: u32) -> Option<Self> {
        let possible = requests_per_second.is_finite() && requests_per_second > 0.0 && burst_capacity > 0;
        possible.then_some(Self { requests_per_second, burst_capacity })
    }

    fn from_text(text: &str) -> Option<Self> {
        let (requests, burst) = match text.split_once('/') {
            Some((requests, burst)) => (f64::from_text(requests.trim())?, burst.trim().parse().ok()?),
            None => {
                let requests = f64::from_text(text)?;
                // The cast saturates.
                (requests, requests.ceil() as u32)
            }
        };
        Self::new(requests, burst)
    }
}

impl Rates {
    /// The rate for a name.
    #[must_use]
    pub fn rate(&self, name: &str) -> Option<Rate> {
        self.0.get(name).copied()
    }

    /// Sets the rate for a name, and returns the former rate.
    pub fn set(&mut self, name: impl Into<String>, rate: Rate) -> Option<Rate> {
        self.0.insert(name.into(), rate)
    }

    /// Each name with its rate, in the order of the names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Rate)> + '_ {
        self.0.iter().map(|(name, rate)| (name.as_str(), *rate))
    }

    /// Whether there are no rates.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.requests_per_second, self.burst_capacity)
    }
}

impl Text for Rates {
    const ALLOWED: &'static str =
        "names with calls per second and calls at once, such as kv.KV=10/20, or none";
    const SHAPE: Shape = Shape::Map;

    fn from_text(text: &str) -> Option<Self> {
        if text.eq_ignore_ascii_case(NONE) {
            return Some(Self::default());
        }
        let mut rates = Self::default();
        for entry in text.split(',') {
            let (name, rate) = entry.split_once('=')?;
            let name = name.trim().trim_start_matches('/');
            if name.is_empty() || rates.set(name, Rate::from_text(rate.trim())?).is_some() {
                return None;
            }
        }
        Some(rates)
    }

    fn to_text(&self) -> String {
        if self.is_empty() {
            return NONE.to_owned();
        }
        self.iter().map(|(name, rate)| format!("{name}={rate}")).collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_has_a_burst() {
        for (text, requests, burst) in [("100/200", 100.0, 200), ("0.5", 0.5, 1), ("2.5 / 4", 2.5, 4)] {
            let rate = Rate::from_text(text).expect(text);
            assert_eq!((rate.requests_per_second, rate.burst_capacity), (requests, burst), "{text}");
        }
        for text in ["", "0", "-1", "1/0", "nan", "inf", "1/2/3", "1/x"] {
            assert_eq!(Rate::from_text(text), None, "{text}");
        }
    }

    #[test]
    fn rates_have_names() {
        let rates = Rates::from_text("kv.KV=10/20, /kv.KV/Get=5").expect("two");
        assert_eq!(rates.to_text(), "kv.KV=10/20, kv.KV/Get=5/5");
        assert_eq!(Rates::from_text("none"), Some(Rates::default()));
        assert_eq!(Rates::default().to_text(), "none");
        for text in ["", "kv.KV", "=1", "a=1,a=2", "a=0"] {
            assert_eq!(Rates::from_text(text), None, "{text}");
        }
    }
}
