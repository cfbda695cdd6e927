//! Numbers as text: parsed without loss of digits, and formatted as in Go.

/// Returns the length of the JSON number at the start of `text`.
pub(super) fn length(text: &[u8]) -> Option<usize> {
    let digits = |from: usize| text[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let mut end = usize::from(text.first() == Some(&b'-'));
    match text.get(end)? {
        b'0' => end += 1,
        b'1'..=b'9' => end += digits(end),
        _ => return None,
    }
    if text.get(end) == Some(&b'.') {
        match digits(end + 1) {
            0 => return None,
            count => end += 1 + count,
        }
    }
    if matches!(text.get(end), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(text.get(end + 1), Some(b'+' | b'-')));
        match digits(end + 1 + sign) {
            0 => return None,
            count => end += 1 + sign + count,
        }
    }
    Some(end)
}

/// Returns the integer value of a JSON number: `1.0`, `1e2` and `100e-2` are integers. Returns `None` for other numbers, and for
/// numbers far beyond 64 bits.
pub(super) fn integer(text: &str) -> Option<i128> {
    let (negative, rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (mantissa, exponent) = rest.split_once(['e', 'E']).unwrap_or((rest, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let (whole, fraction) = (if whole == "0" { "" } else { whole }, fraction.trim_end_matches('0'));
    if whole.is_empty() && fraction.is_empty() {
        return Some(0);
    }
    let exponent: i32 = exponent.parse().ok()?;
    let digits = match usize::try_from(exponent) {
        Ok(exponent) => {
            if fraction.len() > exponent || whole.len() + exponent > MOST_DIGITS {
                return None;
            }
            let zeros = "0".repeat(exponent - fraction.len());
            format!("{whole}{fraction}{zeros}")
        }
        Err(_) => {
            let kept = whole.len().checked_sub(usize::try_from(exponent.unsigned_abs()).ok()?)?;
            let (kept, dropped) = whole.split_at(kept);
            if !fraction.is_empty() || dropped.bytes().any(|digit| digit != b'0') {
                return None;
            }
            kept.to_owned()
        }
    };
    if digits.len() > 2 * MOST_DIGITS {
        return None;
    }
    let value: i128 = digits.parse().ok()?;
    Some(if negative { -value } else { value })
}

/// Formats a `double` as in Go.
pub(super) fn double(value: f64) -> String {
    let size = value.abs();
    // Formatting with an exponent is slow, so only if necessary.
    special(value).unwrap_or_else(|| match size != 0.0 && !(1e-6..1e21).contains(&size) {
        true => with_sign_of_exponent(&format!("{value:e}")),
        false => value.to_string(),
    })
}

/// Formats a `float` as in Go.
pub(super) fn float(value: f32) -> String {
    let size = value.abs();
    special(value.into()).unwrap_or_else(|| match size != 0.0 && !(1e-6..1e21).contains(&size) {
        true => with_sign_of_exponent(&format!("{value:e}")),
        false => value.to_string(),
    })
}

/// Returns the form of values that are not JSON numbers.
fn special(value: f64) -> Option<String> {
    let text = match value {
        _ if value.is_nan() => r#""NaN""#,
        f64::INFINITY => r#""Infinity""#,
        f64::NEG_INFINITY => r#""-Infinity""#,
        _ => return None,
    };
    Some(text.to_owned())
}

/// `1e21` becomes `1e+21`.
fn with_sign_of_exponent(text: &str) -> String {
    match text.split_once('e') {
        Some((mantissa, exponent)) if !exponent.starts_with('-') => format!("{mantissa}e+{exponent}"),
        _ => text.to_owned(),
    }
}

/// The maximum number of digits of an integer. The largest 64-bit integer has 20.
const MOST_DIGITS: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_numbers_of_json() {
        for (text, end) in [("0", 1), ("-0.5e+3,", 7), ("12]", 2), ("1e5", 3), ("01", 1), ("1.5.2", 3)] {
            assert_eq!(length(text.as_bytes()), Some(end), "{text}");
        }
        for text in ["", "-", ".5", "+1", "1.", "1e", "1e+", "-e5", "e5"] {
            assert_eq!(length(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn reads_whole_numbers_from_their_digits() {
        let max = "18446744073709551616";
        for (text, value) in [
            ("-0.0", 0),
            ("0e99999999999", 0),
            ("1.50e1", 15),
            ("-1000e-3", -1),
            ("0.05e2", 5),
            ("9007199254740993.0", 9_007_199_254_740_993),
            (max, 1 << 64),
        ] {
            assert_eq!(integer(text), Some(value), "{text}");
        }
        for text in ["1.5", "10e-2", "1e-1", "1e21", "1e2147483648", "1.5e-1", "1e-2147483648"] {
            assert_eq!(integer(text), None, "{text}");
        }
    }

    #[test]
    fn writes_numbers_as_go_does() {
        for (value, text) in [
            (1.0, "1"),
            (-0.0, "-0"),
            (1e20, "100000000000000000000"),
            (1e21, "1e+21"),
            (1e-6, "0.000001"),
            (1.5e-7, "1.5e-7"),
            (f64::MAX, "1.7976931348623157e+308"),
            (f64::NAN, "\"NaN\""),
        ] {
            assert_eq!(double(value), text);
        }
        assert_eq!(float(f32::MAX), "3.4028235e+38");
        assert_eq!(float(0.1), "0.1");
        assert_eq!(float(f32::NEG_INFINITY), "\"-Infinity\"");
    }
}
