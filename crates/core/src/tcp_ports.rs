//! The TCP ports on which a plugin may listen.

use std::{num::NonZeroU16, ops::RangeInclusive};

/// The TCP ports on which a plugin may listen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "there is no third way to choose a port")]
pub enum TcpPorts {
    /// Any free port. The operating system chooses.
    Any,
    /// The first free port of a range.
    Range(PortRange),
}

/// A range of TCP ports, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PortRange {
    min: NonZeroU16,
    max: NonZeroU16,
}

/// The error for a range whose lowest port is above the highest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error, miette::Diagnostic)]
#[error("the lowest port, {min}, is above the highest, {max}")]
#[diagnostic(code(rpcplugin::config::port_range_reversed), help("exchange min_port and max_port"))]
pub struct PortRangeError {
    /// The lowest port.
    pub min: u16,
    /// The highest port.
    pub max: u16,
}

impl TcpPorts {
    /// The default range of Go hosts: 10000 to 25000.
    pub const GO_DEFAULT: Self = match (NonZeroU16::new(10_000), NonZeroU16::new(25_000)) {
        (Some(min), Some(max)) => Self::Range(PortRange { min, max }),
        _ => Self::Any,
    };

    /// Creates the ports from the two numbers of a host. A `min` of 0 stands for any port: with port 0 the operating system chooses.
    ///
    /// # Errors
    /// [`PortRangeError`] if `min` is above `max`.
    pub fn between(min: u16, max: u16) -> Result<Self, PortRangeError> {
        match (NonZeroU16::new(min), NonZeroU16::new(max)) {
            (Some(min), Some(max)) => PortRange::new(min, max).map(Self::Range),
            (Some(_), None) => Err(PortRangeError { min, max }),
            (None, _) => Ok(Self::Any),
        }
    }

    /// The port numbers, in the order in which they are tried. Any port is `0..=0`.
    #[must_use]
    pub fn numbers(self) -> RangeInclusive<u16> {
        match self {
            Self::Any => 0..=0,
            Self::Range(range) => range.min.get()..=range.max.get(),
        }
    }
}

impl PortRange {
    /// Creates the range from `min` to `max`, both included.
    ///
    /// # Errors
    /// [`PortRangeError`] if `min` is above `max`.
    pub fn new(min: NonZeroU16, max: NonZeroU16) -> Result<Self, PortRangeError> {
        if min <= max {
            Ok(Self { min, max })
        } else {
            Err(PortRangeError { min: min.get(), max: max.get() })
        }
    }

    /// The lowest port.
    #[must_use]
    pub fn min(self) -> NonZeroU16 {
        self.min
    }

    /// The highest port.
    #[must_use]
    pub fn max(self) -> NonZeroU16 {
        self.max
    }
}

/// The range of one port.
impl From<NonZeroU16> for PortRange {
    fn from(port: NonZeroU16) -> Self {
        Self { min: port, max: port }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_stands_for_any_port() {
        assert_eq!(TcpPorts::between(0, 0), Ok(TcpPorts::Any));
        assert_eq!(TcpPorts::between(0, 1), Ok(TcpPorts::Any));
        assert_eq!(TcpPorts::Any.numbers(), 0..=0);
    }

    #[test]
    fn the_lowest_port_is_not_above_the_highest() {
        assert_eq!(TcpPorts::between(2, 1), Err(PortRangeError { min: 2, max: 1 }));
        assert_eq!(TcpPorts::between(2, 0), Err(PortRangeError { min: 2, max: 0 }));
        assert_eq!(TcpPorts::between(2, 2).map(TcpPorts::numbers), Ok(2..=2));
        let Ok(TcpPorts::Range(range)) = TcpPorts::between(2, 3) else { panic!("a range") };
        assert_eq!((range.min().get(), range.max().get()), (2, 3));
        assert_eq!(TcpPorts::GO_DEFAULT.numbers(), 10_000..=25_000);
    }
}
