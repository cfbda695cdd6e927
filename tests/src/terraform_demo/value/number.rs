//! Numbers, exact to the last digit.

use std::fmt;
use std::ops::Add;
use std::str::FromStr;

use bigdecimal::{BigDecimal, ToPrimitive as _};

use super::ValueError;

/// A decimal number of any size. Terraform computes with 512 bits, so floating point would lose digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Number(BigDecimal);

impl Number {
    /// The number as an integer of 64 bits, if it is one.
    pub(crate) fn as_u64(&self) -> Option<u64> {
        self.0.is_integer().then(|| self.0.to_u64()).flatten()
    }

    /// The number as an integer of 64 bits, if it is one.
    pub(crate) fn as_i64(&self) -> Option<i64> {
        self.0.is_integer().then(|| self.0.to_i64()).flatten()
    }

    /// The number in floating point, if that is exact.
    pub(crate) fn as_exact_f64(&self) -> Option<f64> {
        let float = self.0.to_f64().filter(|float| float.is_finite())?;
        let back = BigDecimal::try_from(float).ok()?;
        (back == self.0).then_some(float)
    }

    /// The nearest floating-point number.
    pub(crate) fn to_f64(&self) -> f64 {
        self.0.to_f64().unwrap_or(f64::NAN)
    }
}

impl From<u64> for Number {
    fn from(number: u64) -> Self {
        Self(number.into())
    }
}

impl From<i64> for Number {
    fn from(number: i64) -> Self {
        Self(number.into())
    }
}

impl TryFrom<f64> for Number {
    type Error = ValueError;

    /// Refuses infinities, although Terraform has them.
    fn try_from(number: f64) -> Result<Self, ValueError> {
        BigDecimal::try_from(number).map(Self).map_err(|_| ValueError::Number(number.to_string()))
    }
}

impl FromStr for Number {
    type Err = ValueError;

    /// Reads decimal text, with or without an exponent.
    fn from_str(text: &str) -> Result<Self, ValueError> {
        let refuse = || ValueError::Number(text.chars().take(SHOWN).collect());
        let plain = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'+' | b'-' | b'.' | b'e' | b'E');
        if text.len() > MAX_DIGITS || !text.bytes().all(plain) {
            return Err(refuse());
        }
        let number = BigDecimal::from_str(text).map_err(|_| refuse())?;
        // 1e999999999 without an exponent would fill the memory.
        if number.fractional_digit_count().unsigned_abs() > MAX_DIGITS as u64 {
            return Err(refuse());
        }
        Ok(Self(number))
    }
}

impl Add for Number {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

/// Digits without an exponent, as Terraform reads them.
impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.to_plain_string())
    }
}

/// The most digits of a number. The largest number of Terraform has 155.
const MAX_DIGITS: usize = 10_000;

/// The most characters of a bad number in an error.
const SHOWN: usize = 40;
