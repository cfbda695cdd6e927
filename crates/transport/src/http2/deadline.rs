//! The deadline of a call, as it stands in its headers.

use std::time::Duration;

use http::{HeaderMap, HeaderValue};

/// The deadline that a call carries.
///
/// # Protocol
/// gRPC over HTTP/2, `grpc-timeout`: at most eight digits and a unit.
pub(super) fn deadline(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(GRPC_TIMEOUT)?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let is_number = digits.len() <= 8 && digits.bytes().all(|digit| digit.is_ascii_digit());
    let value: u64 = digits.parse().ok().filter(|_| is_number)?;
    Some(match unit {
        "H" => Duration::from_secs(value * 3600),
        "M" => Duration::from_secs(value * 60),
        "S" => Duration::from_secs(value),
        "m" => Duration::from_millis(value),
        "u" => Duration::from_micros(value),
        "n" => Duration::from_nanos(value),
        _ => return None,
    })
}

/// Makes a call carry this deadline.
pub(super) fn set_deadline(headers: &mut HeaderMap, left: Duration) {
    let (value, unit) = match left.as_micros() {
        micros @ ..=MOST => (micros, 'u'),
        _ if left.as_millis() <= MOST => (left.as_millis(), 'm'),
        _ => (u128::from(left.as_secs()).min(MOST), 'S'),
    };
    if let Ok(value) = HeaderValue::try_from(format!("{value}{unit}")) {
        headers.insert(GRPC_TIMEOUT, value);
    }
}

const GRPC_TIMEOUT: &str = "grpc-timeout";

/// Eight digits.
const MOST: u128 = 99_999_999;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deadlines_are_read_and_written() {
        let mut headers = HeaderMap::new();
        for left in
            [Duration::ZERO, Duration::from_micros(1), Duration::from_secs(99), Duration::from_secs(100_000)]
        {
            set_deadline(&mut headers, left);
            assert_eq!(deadline(&headers), Some(left), "{headers:?}");
        }
        set_deadline(&mut headers, Duration::MAX);
        assert_eq!(deadline(&headers), Some(Duration::from_secs(99_999_999)));
        for (text, expected) in
            [("2H", Some(7200)), ("3M", Some(180)), ("", None), ("5", None), ("S", None), ("1x", None)]
        {
            headers.insert(GRPC_TIMEOUT, HeaderValue::from_static(text));
            assert_eq!(deadline(&headers), expected.map(Duration::from_secs), "{text}");
        }
        for bad in ["123456789S", "-1S", "+1S", "1 S"] {
            headers.insert(GRPC_TIMEOUT, HeaderValue::from_static(bad));
            assert_eq!(deadline(&headers), None, "{bad}");
        }
        headers.insert(GRPC_TIMEOUT, HeaderValue::from_static("99999999H"));
        assert_eq!(deadline(&headers), Some(Duration::from_secs(99_999_999 * 3600)));
    }
}
