//! The timeout of a call: gRPC's header for it, and the deadline that follows from it.

use std::{pin::Pin, time::Duration};

use http::{HeaderMap, HeaderValue};
use tokio::time::{Instant, Sleep};
use tonic::{Code, Status};

/// The deadline of a call.
pub(crate) struct Deadline {
    pub(crate) due: Instant,
    pub(crate) sleep: Pin<Box<Sleep>>,
}

/// Reads the timeout of a call from its headers.
///
/// # Protocol
/// gRPC over HTTP/2, `grpc-timeout`: at most eight digits and a unit.
pub(crate) fn read_timeout(headers: &HeaderMap) -> Option<Duration> {
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

/// Writes the timeout of a call into its headers.
pub(crate) fn write_timeout(headers: &mut HeaderMap, left: Duration) {
    let (value, unit) = match left.as_micros() {
        micros @ ..=MAX_VALUE => (micros, 'u'),
        _ if left.as_millis() <= MAX_VALUE => (left.as_millis(), 'm'),
        _ => (u128::from(left.as_secs()).min(MAX_VALUE), 'S'),
    };
    if let Ok(value) = HeaderValue::try_from(format!("{value}{unit}")) {
        headers.insert(GRPC_TIMEOUT, value);
    }
}

/// The status of a call whose deadline has passed.
pub(crate) fn deadline_exceeded() -> Status {
    Status::deadline_exceeded("the call's deadline has passed")
}

/// Whether a call failed because its deadline has passed. A peer that gives up the call for that reason reports it as
/// cancelled.
pub(crate) fn is_deadline_exceeded(status: &Status, due: Option<Instant>) -> bool {
    status.code() == Code::Cancelled && due.is_some_and(|due| due <= Instant::now())
}

const GRPC_TIMEOUT: &str = "grpc-timeout";

/// The largest value: eight digits.
const MAX_VALUE: u128 = 99_999_999;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_are_read_and_written() {
        let mut headers = HeaderMap::new();
        for left in
            [Duration::ZERO, Duration::from_micros(1), Duration::from_secs(99), Duration::from_secs(100_000)]
        {
            write_timeout(&mut headers, left);
            assert_eq!(read_timeout(&headers), Some(left), "{headers:?}");
        }
        write_timeout(&mut headers, Duration::MAX);
        assert_eq!(read_timeout(&headers), Some(Duration::from_secs(99_999_999)));
        for (text, expected) in
            [("2H", Some(7200)), ("3M", Some(180)), ("", None), ("5", None), ("S", None), ("1x", None)]
        {
            headers.insert(GRPC_TIMEOUT, HeaderValue::from_static(text));
            assert_eq!(read_timeout(&headers), expected.map(Duration::from_secs), "{text}");
        }
        for bad in ["123456789S", "-1S", "+1S", "1 S"] {
            headers.insert(GRPC_TIMEOUT, HeaderValue::from_static(bad));
            assert_eq!(read_timeout(&headers), None, "{bad}");
        }
        headers.insert(GRPC_TIMEOUT, HeaderValue::from_static("99999999H"));
        assert_eq!(read_timeout(&headers), Some(Duration::from_secs(99_999_999 * 3600)));
    }
}
