//! Numbers and booleans as Go reads them, so that what a Go peer accepts is accepted here.

/// A decimal as `strconv.Atoi` takes it: an optional sign and digits, leading zeros allowed.
pub(crate) fn integer(text: &str) -> Option<i64> {
    text.parse().ok()
}

/// A boolean as `strconv.ParseBool` takes it.
pub(crate) fn boolean(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Some(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Some(false),
        _ => None,
    }
}
