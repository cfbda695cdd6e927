//! Well-known messages with a special JSON form, and the forms that are strings.

use prost_reflect::{Kind, MessageDescriptor};

/// A message with a special JSON form.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Known {
    Any,
    Timestamp,
    Duration,
    FieldMask,
    Struct,
    Value,
    ListValue,
    Empty,
    /// A wrapper of a value of this kind.
    Wrapper(Kind),
}

/// The JSON form of a message.
#[derive(Debug, Clone)]
pub(super) enum Type {
    Known(Known),
    Plain(MessageDescriptor),
}

/// A timestamp or a duration: seconds and nanoseconds.
pub(super) type Time = (i64, i32);

impl Type {
    pub(super) fn of(message: &MessageDescriptor) -> Self {
        Known::named(message.full_name()).map_or_else(|| Self::Plain(message.clone()), Self::Known)
    }
}

impl Known {
    pub(super) fn named(full_name: &str) -> Option<Self> {
        Some(match full_name.strip_prefix("google.protobuf.")? {
            "Any" => Self::Any,
            "Timestamp" => Self::Timestamp,
            "Duration" => Self::Duration,
            "FieldMask" => Self::FieldMask,
            "Struct" => Self::Struct,
            "Value" => Self::Value,
            "ListValue" => Self::ListValue,
            "Empty" => Self::Empty,
            "BoolValue" => Self::Wrapper(Kind::Bool),
            "Int32Value" => Self::Wrapper(Kind::Int32),
            "Int64Value" => Self::Wrapper(Kind::Int64),
            "UInt32Value" => Self::Wrapper(Kind::Uint32),
            "UInt64Value" => Self::Wrapper(Kind::Uint64),
            "FloatValue" => Self::Wrapper(Kind::Float),
            "DoubleValue" => Self::Wrapper(Kind::Double),
            "StringValue" => Self::Wrapper(Kind::String),
            "BytesValue" => Self::Wrapper(Kind::Bytes),
            _ => return None,
        })
    }
}

/// Whether this is `NullValue`, the enum whose only value is `null`.
pub(super) fn is_null_value(kind: &Kind) -> bool {
    matches!(kind, Kind::Enum(one) if one.full_name() == "google.protobuf.NullValue")
}

/// Whether this is `Value`, the message that can be `null`.
pub(super) fn is_value(kind: &Kind) -> bool {
    matches!(kind, Kind::Message(message) if message.full_name() == "google.protobuf.Value")
}

/// Parses an RFC 3339 timestamp. Like Go, it accepts an hour with one digit and a decimal comma.
pub(super) fn read_timestamp(text: &str) -> Result<Time, &'static str> {
    const FORM: &str = r#"is not a time such as "2006-01-02T15:04:05.5Z""#;
    let mut rest = Digits(text);
    let date = (|| {
        let year = rest.number(4)?;
        let month = rest.after("-")?.number(2)?;
        let day = rest.after("-")?.number(2)?;
        rest.after("T")?;
        let hour = rest.number(2).or_else(|| rest.number(1))?;
        let minute = rest.after(":")?.number(2)?;
        let second = rest.after(":")?.number(2)?;
        Some((year, month, day, hour, minute, second))
    })();
    let (year, month, day, hour, minute, second) = date.ok_or(FORM)?;
    let mut nanos = 0;
    if let Some(fraction) = rest.0.strip_prefix(['.', ',']) {
        let count = fraction.bytes().take_while(u8::is_ascii_digit).count();
        nanos = match count {
            0 => return Err(FORM),
            1..=9 => fraction_of_a_second(&fraction[..count]),
            _ => return Err("has more than nine digits of a second"),
        };
        rest.0 = &fraction[count..];
    }
    let offset = match rest.0 {
        "Z" => 0,
        zone => {
            let sign = if zone.starts_with('-') { -1 } else { 1 };
            let mut zone = Digits(zone.strip_prefix(['+', '-']).ok_or(FORM)?);
            let hours = zone.number(2).ok_or(FORM)?;
            let minutes = zone.after(":").and_then(|zone| zone.number(2)).ok_or(FORM)?;
            match zone.0 {
                "" if hours <= 24 && minutes <= 60 => sign * (hours * 60 + minutes) * 60,
                "" => return Err("has an offset that is out of range"),
                _ => return Err(FORM),
            }
        }
    };
    let is_a_day = (1..=12).contains(&month) && (1..=days_in(year, month)).contains(&day);
    if !is_a_day || hour > 23 || minute > 59 || second > 59 {
        return Err("has a part that is out of range; there are no leap seconds");
    }
    let seconds = days_since_1970(year, month, day) * DAY + (hour * 60 + minute) * 60 + second - offset;
    match (FIRST_SECOND..=LAST_SECOND).contains(&seconds) {
        true => Ok((seconds, nanos)),
        false => Err("is not within the years 1 to 9999"),
    }
}

/// Formats a timestamp by RFC 3339.
pub(super) fn timestamp((seconds, nanos): Time) -> Result<String, String> {
    if !(FIRST_SECOND..=LAST_SECOND).contains(&seconds) {
        return Err(format!("{seconds} seconds since 1970 are not within the years 1 to 9999"));
    }
    if !(0..=MOST_NANOS).contains(&nanos) {
        return Err(format!("{nanos} nanoseconds are not between 0 and {MOST_NANOS}"));
    }
    let (year, month, day) = date(seconds.div_euclid(DAY));
    let second = seconds.rem_euclid(DAY);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    let fraction = written_fraction(nanos);
    Ok(format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{fraction}Z"))
}

/// Parses seconds with up to nine decimal digits, followed by `s`.
pub(super) fn read_duration(text: &str) -> Result<Time, &'static str> {
    const FORM: &str = r#"is not a duration such as "1.5s""#;
    let number = text.strip_suffix('s').ok_or(FORM)?;
    let (negative, number) = match number.strip_prefix('-') {
        Some(number) => (true, number),
        None => (false, number.strip_prefix('+').unwrap_or(number)),
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let leading_zero = whole.len() > 1 && whole.starts_with('0');
    if number.is_empty() || leading_zero || !is_digits(whole) || !is_digits(fraction) {
        return Err(FORM);
    }
    if fraction.len() > 9 {
        return Err("has more than nine digits of a second");
    }
    let seconds = if whole.is_empty() { Ok(0) } else { whole.parse::<i64>() };
    match seconds {
        Ok(seconds) if seconds <= LONGEST => {
            let nanos = fraction_of_a_second(fraction);
            Ok(if negative { (-seconds, -nanos) } else { (seconds, nanos) })
        }
        _ => Err("is longer than 315576000000 seconds"),
    }
}

/// Formats a duration.
pub(super) fn duration((seconds, nanos): Time) -> Result<String, String> {
    if !(-LONGEST..=LONGEST).contains(&seconds) {
        return Err(format!("{seconds} seconds are longer than {LONGEST}"));
    }
    if !(-MOST_NANOS..=MOST_NANOS).contains(&nanos) {
        return Err(format!("{nanos} nanoseconds are a second or longer"));
    }
    if (seconds > 0 && nanos < 0) || (seconds < 0 && nanos > 0) {
        return Err(format!("{seconds} seconds and {nanos} nanoseconds have different signs"));
    }
    let sign = if seconds < 0 || nanos < 0 { "-" } else { "" };
    Ok(format!("{sign}{}{}s", seconds.abs(), written_fraction(nanos.abs())))
}

/// Parses the paths of a field mask, which are separated by commas.
pub(super) fn read_mask(text: &str) -> Result<Vec<String>, String> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let path = |camel: &str| {
        let path = snake_case(camel);
        match !camel.contains('_') && is_path(&path) {
            true => Ok(path),
            false => Err(format!("has the path {camel:?}, which is not in camelCase with dots")),
        }
    };
    text.split(',').map(path).collect()
}

/// Formats the paths of a field mask.
pub(super) fn mask<'a>(paths: impl IntoIterator<Item = &'a str>) -> Result<String, String> {
    let mut written = Vec::new();
    for path in paths {
        let camel = camel_case(path);
        if !is_path(path) || snake_case(&camel) != path {
            return Err(format!("the path {path:?} has no reversible camelCase form"));
        }
        written.push(camel);
    }
    Ok(written.join(","))
}

/// The remaining text of a timestamp.
struct Digits<'a>(&'a str);

impl Digits<'_> {
    /// Takes a number with this many digits.
    fn number(&mut self, digits: usize) -> Option<i64> {
        let number = self.0.get(..digits).filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))?;
        self.0 = &self.0[digits..];
        number.parse().ok()
    }

    /// Takes a separator.
    fn after(&mut self, sign: &str) -> Option<&mut Self> {
        self.0 = self.0.strip_prefix(sign)?;
        Some(self)
    }
}

/// Returns the nanoseconds of up to nine decimal digits.
fn fraction_of_a_second(digits: &str) -> i32 {
    format!("{digits:0<9}").parse().unwrap_or(0)
}

/// Formats zero, three, six or nine decimal digits.
fn written_fraction(nanos: i32) -> String {
    let digits = format!("{nanos:09}");
    match digits.as_str() {
        "000000000" => String::new(),
        digits if digits.ends_with("000000") => format!(".{}", &digits[..3]),
        digits if digits.ends_with("000") => format!(".{}", &digits[..6]),
        digits => format!(".{digits}"),
    }
}

/// Returns the days since 1970-01-01 in the Gregorian calendar. Years start in March, so that a leap day is the last day of a year.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days_of_years = year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    days_of_years + (153 * month + 2) / 5 + day - 1 - MARCH_0_TO_1970
}

/// Returns the date this many days after 1970-01-01.
fn date(days: i64) -> (i64, i64, i64) {
    let days = days + MARCH_0_TO_1970;
    let (era, of_era) = (days.div_euclid(ERA), days.rem_euclid(ERA));
    let year_of_era = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let year = era * 400 + year_of_era;
    if month < 10 { (year, month + 3, day) } else { (year + 1, month - 9, day) }
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Whether this is a list of names separated by dots.
fn is_path(text: &str) -> bool {
    text.split('.').all(|name| {
        let rest = name.trim_start_matches(|one: char| one == '_' || one.is_ascii_alphabetic());
        rest.len() < name.len() && rest.bytes().all(|byte| byte == b'_' || byte.is_ascii_alphanumeric())
    })
}

fn snake_case(text: &str) -> String {
    let mut snake = String::new();
    for one in text.chars() {
        if one.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(one.to_ascii_lowercase());
    }
    snake
}

fn camel_case(text: &str) -> String {
    let (mut camel, mut after_underscore) = (String::new(), false);
    for one in text.chars() {
        match one {
            '_' => {}
            one if after_underscore => camel.push(one.to_ascii_uppercase()),
            one => camel.push(one),
        }
        after_underscore = one == '_';
    }
    camel
}

const DAY: i64 = 24 * 60 * 60;
/// The days in 400 years, the period of the calendar.
const ERA: i64 = 146_097;
/// The days from March of the year 0 to 1970-01-01.
const MARCH_0_TO_1970: i64 = 719_468;
/// 0001-01-01T00:00:00Z.
const FIRST_SECOND: i64 = -62_135_596_800;
/// 9999-12-31T23:59:59Z.
const LAST_SECOND: i64 = 253_402_300_799;
/// The seconds of 10000 years.
const LONGEST: i64 = 315_576_000_000;
const MOST_NANOS: i32 = 999_999_999;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_there_and_back() {
        for (text, time) in [
            ("0001-01-01T00:00:00Z", (FIRST_SECOND, 0)),
            ("9999-12-31T23:59:59.999999999Z", (LAST_SECOND, MOST_NANOS)),
            ("1970-01-01T00:00:00.100Z", (0, 100_000_000)),
            ("1969-12-31T23:59:59.000001Z", (-1, 1000)),
            ("2000-02-29T12:00:00Z", (951_825_600, 0)),
            ("2024-03-01T00:00:00Z", (1_709_251_200, 0)),
        ] {
            assert_eq!(read_timestamp(text), Ok(time), "{text}");
            assert_eq!(timestamp(time).as_deref(), Ok(text));
        }
        assert_eq!(read_timestamp("1970-01-01T01:00:00.5+01:00"), Ok((0, 500_000_000)));
        assert_eq!(read_timestamp("1970-01-01T1:00:00,5Z"), Ok((3600, 500_000_000)));
        for day in (-800_000..2_900_000).step_by(97) {
            let (year, month, day_of_month) = date(day);
            assert_eq!(days_since_1970(year, month, day_of_month), day);
        }
    }

    #[test]
    fn refuses_what_is_no_time() {
        for text in [
            "",
            "2016-12-31T23:59:60Z",
            "2020-01-01T00:00:00.1234567891Z",
            "2020-01-01T00:00:00,1234567891Z",
            "2019-02-29T00:00:00Z",
            "2020-01-01T24:00:00Z",
            "2020-01-01t00:00:00Z",
            "2020-01-01T00:00:00",
            "2020-01-01T00:00:00.Z",
            "2020-01-01T00:00:00+0100",
            "2020-01-01T00:00:00+25:00",
            "0000-12-31T23:59:59Z",
            "0001-01-01T00:00:00+00:01",
            "2020-01-01T00:00:00Z ",
        ] {
            assert!(read_timestamp(text).is_err(), "{text}");
        }
        assert!(timestamp((LAST_SECOND + 1, 0)).is_err() && timestamp((0, -1)).is_err());
    }

    #[test]
    fn durations() {
        for (text, time) in [
            ("1s", (1, 0)),
            ("-0.5s", (0, -500_000_000)),
            ("+1.s", (1, 0)),
            (".000000001s", (0, 1)),
            ("315576000000.9s", (LONGEST, 900_000_000)),
        ] {
            assert_eq!(read_duration(text), Ok(time), "{text}");
        }
        for text in
            ["", "s", "-s", "1", "01s", "1.0000000000s", "1 s", "315576000001s", "--1s", "1e3s", "1..5s"]
        {
            assert!(read_duration(text).is_err(), "{text}");
        }
        assert_eq!(duration((-1, -500_000_000)).unwrap(), "-1.500s");
        assert_eq!(duration((0, 1000)).unwrap(), "0.000001s");
        assert!(duration((1, -1)).is_err() && duration((0, 1_000_000_000)).is_err());
    }

    #[test]
    fn masks() {
        assert_eq!(read_mask(" fooBar,a.bC ").unwrap(), ["foo_bar", "a.b_c"]);
        assert!(read_mask("").unwrap().is_empty());
        for text in ["a,,b", "a, b", "foo_bar", "a.", "1a", ","] {
            assert!(read_mask(text).is_err(), "{text}");
        }
        assert_eq!(mask(["foo_bar", "a.b"]).unwrap(), "fooBar,a.b");
        for path in ["fooBar", "a__b", "a_", "", "a b", "_1"] {
            assert!(mask([path]).is_err(), "{path}");
        }
    }
}
