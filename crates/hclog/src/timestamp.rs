//! The timestamp format of hclog records: RFC 3339 with exactly six fraction digits.

use std::io::Write as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The timestamp of a record, for example `2026-11-20T13:19:54.029982Z`.
///
/// # Protocol
/// Go hosts read `@timestamp` with the layout `2006-01-02T15:04:05.000000Z07:00`: exactly six fraction digits, then
/// `Z` or an offset such as `+02:00`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Timestamp {
    text: Box<str>,
    unix_micros: i64,
}

impl Timestamp {
    /// Reads a timestamp. Returns `None` if the text has another format, or if the day or time does not exist.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Some(Self { unix_micros: unix_micros(text.as_bytes())?, text: text.into() })
    }

    /// Returns the text as it was read.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns the microseconds since 1970-01-01T00:00:00Z. They are negative before it.
    #[must_use]
    pub fn unix_micros(&self) -> i64 {
        self.unix_micros
    }

    /// Returns the system time, or `None` if the system cannot represent it. Some systems cannot represent early years.
    #[must_use]
    pub fn to_system_time(&self) -> Option<SystemTime> {
        let distance = Duration::from_micros(self.unix_micros.unsigned_abs());
        if self.unix_micros < 0 { UNIX_EPOCH.checked_sub(distance) } else { UNIX_EPOCH.checked_add(distance) }
    }
}

impl From<SystemTime> for Timestamp {
    /// Converts to UTC and cuts to whole microseconds. Times outside the years 0 to 9999 become the nearest time inside.
    fn from(time: SystemTime) -> Self {
        let mut text = Vec::with_capacity(LENGTH);
        write(&mut text, time);
        Self {
            text: String::from_utf8_lossy(&text).into_owned().into_boxed_str(),
            unix_micros: micros_of(time),
        }
    }
}

/// Appends a time in UTC.
pub(crate) fn write(out: &mut Vec<u8>, time: SystemTime) {
    let micros = micros_of(time);
    let (days, of_day) = (micros.div_euclid(MICROS_PER_DAY), micros.rem_euclid(MICROS_PER_DAY));
    let (year, month, day) = date_of(days);
    let (seconds, fraction) = (of_day / MICROS_PER_SECOND, of_day % MICROS_PER_SECOND);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    // Writing to a vector cannot fail.
    let _ = write!(out, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{fraction:06}Z");
}

fn micros_of(time: SystemTime) -> i64 {
    let micros = match time.duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_micros()).unwrap_or(i64::MAX),
        Err(before) => {
            let distance = before.duration();
            // Times are cut towards the past, so before the epoch a started microsecond counts.
            let started = u128::from(distance.subsec_nanos() % 1000 != 0);
            i64::try_from(distance.as_micros() + started).map_or(i64::MIN, |micros| -micros)
        }
    };
    micros.clamp(FIRST_MICROS, LAST_MICROS)
}

fn unix_micros(text: &[u8]) -> Option<i64> {
    let (date_time, zone) = text.split_at_checked(LENGTH - 1)?;
    let shape = b"dddd-dd-ddTdd:dd:dd.dddddd";
    let fits = date_time.iter().zip(shape).all(|(byte, expected)| match expected {
        b'd' => byte.is_ascii_digit(),
        other => byte == other,
    });
    if !fits {
        return None;
    }
    let number = |from: usize, to: usize| {
        date_time[from..to].iter().fold(0_i64, |value, digit| value * 10 + i64::from(digit - b'0'))
    };
    let (year, month, day) = (number(0, 4), number(5, 7), number(8, 10));
    let (hour, minute, second) = (number(11, 13), number(14, 16), number(17, 19));
    let days = days_of(year, month, day);
    if date_of(days) != (year, month, day) || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let seconds = days * 86_400 + hour * 3600 + minute * 60 + second - offset_seconds(zone)?;
    Some(seconds * MICROS_PER_SECOND + number(20, 26))
}

fn offset_seconds(zone: &[u8]) -> Option<i64> {
    let (sign, digits) = match zone {
        b"Z" => return Some(0),
        [b'+', digits @ ..] => (1, digits),
        [b'-', digits @ ..] => (-1, digits),
        _ => return None,
    };
    let &[h1, h2, b':', m1, m2] = digits else { return None };
    if ![h1, h2, m1, m2].iter().all(u8::is_ascii_digit) {
        return None;
    }
    let two = |tens: u8, ones: u8| i64::from(tens - b'0') * 10 + i64::from(ones - b'0');
    let (hours, minutes) = (two(h1, h2), two(m1, m2));
    (hours <= 23 && minutes <= 59).then_some(sign * (hours * 3600 + minutes * 60))
}

/// Returns the days from 1970-01-01 to a day of the Gregorian calendar. The year is taken to begin in March, which puts the
/// leap day at its end. An era is the 400 years after which the calendar repeats.
fn days_of(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * DAYS_PER_ERA + day_of_era - DAYS_TO_EPOCH
}

/// The inverse of [`days_of`].
fn date_of(days: i64) -> (i64, i64, i64) {
    let days = days + DAYS_TO_EPOCH;
    let (era, day_of_era) = (days.div_euclid(DAYS_PER_ERA), days.rem_euclid(DAYS_PER_ERA));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

/// Bytes of a timestamp that ends in `Z`.
const LENGTH: usize = 27;
const MICROS_PER_SECOND: i64 = 1_000_000;
const MICROS_PER_DAY: i64 = 86_400 * MICROS_PER_SECOND;
const DAYS_PER_ERA: i64 = 146_097;
/// Days from 0000-03-01 to 1970-01-01.
const DAYS_TO_EPOCH: i64 = 719_468;
/// 0000-01-01T00:00:00.000000Z
const FIRST_MICROS: i64 = -719_528 * MICROS_PER_DAY;
/// 9999-12-31T23:59:59.999999Z
const LAST_MICROS: i64 = 2_932_897 * MICROS_PER_DAY - 1;

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use proptest::prelude::*;

    use super::{FIRST_MICROS, LAST_MICROS, Timestamp, UNIX_EPOCH as EPOCH, date_of, days_of};

    #[track_caller]
    fn check(micros: i64, text: &str) {
        let parsed = Timestamp::parse(text).expect(text);
        assert_eq!((parsed.unix_micros(), parsed.as_str()), (micros, text));
        let time = parsed.to_system_time().expect("Linux represents every year");
        assert_eq!(Timestamp::from(time), parsed);
    }

    #[test]
    fn known_times_are_read_and_written() {
        check(0, "1970-01-01T00:00:00.000000Z");
        check(-1, "1969-12-31T23:59:59.999999Z");
        check(951_782_400_000_000, "2000-02-29T00:00:00.000000Z");
        check(951_868_800_000_000, "2000-03-01T00:00:00.000000Z");
        check(1_709_251_199_000_001, "2024-02-29T23:59:59.000001Z");
        check(4_107_542_400_000_000, "2100-03-01T00:00:00.000000Z");
        check(1_795_180_794_029_982, "2026-11-20T13:19:54.029982Z");
        check(LAST_MICROS, "9999-12-31T23:59:59.999999Z");
        check(FIRST_MICROS, "0000-01-01T00:00:00.000000Z");
    }

    #[test]
    fn an_offset_is_subtracted() {
        let east = Timestamp::parse("2026-11-20T15:19:54.029982+02:00").unwrap();
        let west = Timestamp::parse("2026-11-20T08:49:54.029982-04:30").unwrap();
        assert_eq!((east.unix_micros(), west.unix_micros()), (1_795_180_794_029_982, 1_795_180_794_029_982));
    }

    #[test]
    fn nanoseconds_are_cut_and_years_are_limited() {
        let text = |time| Timestamp::from(time).as_str().to_owned();
        assert_eq!(text(UNIX_EPOCH + Duration::from_nanos(1_999)), "1970-01-01T00:00:00.000001Z");
        assert_eq!(text(UNIX_EPOCH - Duration::from_nanos(1)), "1969-12-31T23:59:59.999999Z");
        let year = Duration::from_secs(366 * 86_400);
        assert_eq!(text(EPOCH + year * 20_000), "9999-12-31T23:59:59.999999Z");
        assert_eq!(text(EPOCH - year * 20_000), "0000-01-01T00:00:00.000000Z");
    }

    #[test]
    fn other_formats_are_refused() {
        for text in [
            "",
            "2026-11-20",
            "2026-11-20T13:19:54Z",
            "2026-11-20T13:19:54.029Z",
            "2026-11-20T13:19:54.029982123Z",
            "2026-11-20T13:19:54.029982",
            "2026-11-20 13:19:54.029982Z",
            "2026-11-20T13:19:54.029982z",
            "2026-11-20T13:19:54.029982+0200",
            "2026-11-20T13:19:54.029982+24:00",
            "2026-11-20T13:19:54.029982Z ",
            "2026-13-20T13:19:54.029982Z",
            "2026-00-20T13:19:54.029982Z",
            "2026-11-31T13:19:54.029982Z",
            "2026-11-00T13:19:54.029982Z",
            "2023-02-29T13:19:54.029982Z",
            "2100-02-29T13:19:54.029982Z",
            "2026-11-20T24:00:00.000000Z",
            "2026-11-20T13:60:54.029982Z",
            "2026-11-20T13:19:60.029982Z",
            "２０２６-11-20T13:19:54.0Z",
        ] {
            assert_eq!(Timestamp::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn the_date_of_every_day_leads_back_to_the_day() {
        for (count, days) in (-719_528..2_932_897).enumerate() {
            let (year, month, day) = date_of(days);
            assert_eq!(days_of(year, month, day), days);
            if count == 0 {
                assert_eq!((year, month, day), (0, 1, 1));
            }
        }
    }

    proptest! {
        #[test]
        fn no_text_causes_a_panic(text in "\\PC{0,40}") {
            let _ = Timestamp::parse(&text);
        }

        #[test]
        fn every_time_is_read_as_it_was_written(micros in FIRST_MICROS..=LAST_MICROS) {
            let time = if micros < 0 {
                EPOCH - Duration::from_micros(micros.unsigned_abs())
            } else {
                EPOCH + Duration::from_micros(micros.unsigned_abs())
            };
            let written = Timestamp::from(time);
            prop_assert_eq!(Timestamp::parse(written.as_str()), Some(written.clone()));
            prop_assert_eq!(written.unix_micros(), micros);
        }
    }
}
