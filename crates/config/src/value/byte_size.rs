//! An amount of bytes.

use std::fmt;

use super::text::Text;

/// An amount of bytes. Its text is a plain number or a number with a unit: `16MiB`, `4MB`, `1048576`.
///
/// `kB`, `MB` and `GB` are powers of 1000, `KiB`, `MiB` and `GiB` powers of 1024. The case of the letters
/// does not matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ByteSize(u64);

impl ByteSize {
    /// Creates an amount of bytes.
    #[must_use]
    pub const fn bytes(bytes: u64) -> Self {
        Self(bytes)
    }

    /// Creates an amount of `count` times 1024 bytes. It saturates at the largest amount.
    #[must_use]
    pub const fn kib(count: u64) -> Self {
        Self(count.saturating_mul(1 << 10))
    }

    /// Creates an amount of `count` times 1024² bytes. It saturates at the largest amount.
    #[must_use]
    pub const fn mib(count: u64) -> Self {
        Self(count.saturating_mul(1 << 20))
    }

    /// The number of bytes.
    #[must_use]
    pub const fn as_u64(self) -> u64 {
        self.0
    }

    /// The number of bytes. It saturates at the largest number of the type.
    #[must_use]
    pub fn as_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }

    /// The number of bytes. It saturates at the largest number of the type.
    #[must_use]
    pub fn as_u32(self) -> u32 {
        u32::try_from(self.0).unwrap_or(u32::MAX)
    }
}

/// The amount in the largest binary unit that needs no fraction, such as `64KiB`.
impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fits = |(_, size): &&(&str, u64)| self.0 != 0 && self.0.is_multiple_of(*size);
        match BINARY_UNITS.iter().find(fits) {
            Some((unit, size)) => write!(f, "{}{unit}", self.0 / size),
            None => write!(f, "{}", self.0),
        }
    }
}

impl Text for ByteSize {
    const ALLOWED: &'static str = "an amount of bytes, such as 16MiB, 4MB or 1048576";
    const UNIT: &'static str = "bytes";

    fn from_text(text: &str) -> Option<Self> {
        let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (number, unit) = text.split_at(digits);
        let unit = unit.trim_start();
        let size = if unit.is_empty() || unit.eq_ignore_ascii_case("b") {
            1
        } else {
            let mut units = BINARY_UNITS.iter().chain(&DECIMAL_UNITS);
            units.find(|(name, _)| name.eq_ignore_ascii_case(unit))?.1
        };
        number.parse::<u64>().ok()?.checked_mul(size).map(Self)
    }

    fn to_text(&self) -> String {
        self.to_string()
    }
}

const BINARY_UNITS: [(&str, u64); 3] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
const DECIMAL_UNITS: [(&str, u64); 3] = [("GB", 1_000_000_000), ("MB", 1_000_000), ("kB", 1_000)];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_with_and_without_units_are_read() {
        for (text, bytes) in [
            ("0", 0),
            ("4194304", 4 << 20),
            ("16MiB", 16 << 20),
            ("16 mib", 16 << 20),
            ("4MB", 4_000_000),
            ("64kb", 64_000),
            ("12B", 12),
        ] {
            let size = ByteSize::from_text(text).expect(text);
            assert_eq!(
                (size.as_u64(), size.as_u32() as u64, size.as_usize() as u64),
                (bytes, bytes, bytes),
                "{text}"
            );
        }
    }

    #[test]
    fn other_text_is_refused() {
        for text in ["", "MiB", "-1", "1.5MiB", "16M", "16MiBs", "99999999999GiB", "18446744073709551616"] {
            assert_eq!(ByteSize::from_text(text), None, "{text}");
        }
    }

    #[test]
    fn the_largest_unit_without_a_fraction_is_shown() {
        for (bytes, text) in [(0, "0"), (1, "1"), (1536, "1536"), (65536, "64KiB"), (8 << 20, "8MiB")] {
            assert_eq!(ByteSize(bytes).to_string(), text);
        }
    }
}
