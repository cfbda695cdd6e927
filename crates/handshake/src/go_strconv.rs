//! Numbers and booleans as Go's `strconv` parses them, so that both languages accept the same text.

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
