//! Durations as people write them: `30s`, `500ms`, `2m`.

use std::time::Duration;

/// Parses a timeout between a millisecond and a day.
pub(crate) fn limit(text: &str) -> Result<Duration, String> {
    let limit = parse(text)?;
    match (Duration::from_millis(1)..=Duration::from_secs(24 * 3600)).contains(&limit) {
        true => Ok(limit),
        false => Err("must be between 1ms and 24h".to_owned()),
    }
}

/// Formats a duration with three digits and a suitable unit.
pub(crate) fn show(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    let (number, unit) = match seconds {
        s if s < 1e-3 => (s * 1e6, "µs"),
        s if s < 1.0 => (s * 1e3, "ms"),
        s => (s, "s"),
    };
    let digits = if number < 10.0 { 2 } else { usize::from(number < 100.0) };
    format!("{number:.digits$} {unit}")
}

/// Parses a number with a unit. Without a unit it is a number of seconds.
fn parse(text: &str) -> Result<Duration, String> {
    let unit_at = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let (number, unit) = text.split_at(unit_at);
    let scale = match unit {
        "us" => 1e-6,
        "ms" => 1e-3,
        "" | "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return Err(format!("unknown unit {unit:?}: use us, ms, s, m or h")),
    };
    let number: f64 =
        number.trim().parse().map_err(|_| "expected a number with a unit, such as 30s".to_owned())?;
    Duration::try_from_secs_f64(number * scale).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_shows() {
        assert_eq!(parse("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(parse("1.5"), Ok(Duration::from_millis(1500)));
        assert_eq!(parse("2m"), Ok(Duration::from_secs(120)));
        for wrong in ["", "s", "5x", "-1s", "nans", "1e99h"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
        assert_eq!(limit("24h"), Ok(Duration::from_hours(24)));
        for beyond in ["0s", "25h", "100000000h", "1e300h", "0.1ms"] {
            assert!(limit(beyond).is_err(), "{beyond}");
        }
        assert_eq!(show(Duration::from_micros(1234)), "1.23 ms");
        assert_eq!(show(Duration::from_micros(12)), "12.0 µs");
        assert_eq!(show(Duration::from_secs(125)), "125 s");
    }
}
