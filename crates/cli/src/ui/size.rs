//! Sizes as people write them: `64m`, `512M`, `2g`.

/// Parses a number of bytes, or a number with `k`, `m` or `g`, in steps of 1024.
pub(crate) fn parse(text: &str) -> Option<u64> {
    let (digits, unit) = match text.char_indices().next_back()? {
        (at, 'k' | 'K') => (&text[..at], 1 << 10),
        (at, 'm' | 'M') => (&text[..at], 1 << 20),
        (at, 'g' | 'G') => (&text[..at], 1 << 30),
        _ => (text, 1_u64),
    };
    digits.parse::<u64>().ok()?.checked_mul(unit)
}

/// Formats a number of bytes so that [`parse`] reads the same number.
pub(crate) fn show(bytes: u64) -> String {
    let units = [(1 << 30, "G"), (1 << 20, "M"), (1 << 10, "K")];
    let unit = units.into_iter().find(|(unit, _)| bytes > 0 && bytes.is_multiple_of(*unit));
    unit.map_or_else(|| bytes.to_string(), |(unit, name)| format!("{}{name}", bytes / unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_and_shown() {
        for (text, bytes) in [("512M", 512 << 20), ("2G", 2 << 30), ("100", 100), ("3K", 3 << 10), ("0", 0)] {
            assert_eq!((parse(text), &*show(bytes)), (Some(bytes), text));
        }
        assert_eq!(parse("64m"), Some(64 << 20));
        for wrong in ["", "m", "-1", "1t", "99999999999999999999g"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
