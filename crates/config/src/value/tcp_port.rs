//! The TCP port of a plugin.

use std::num::NonZeroU16;

use super::text::{NONE, Text};

/// The TCP port on which a plugin listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(clippy::exhaustive_enums, reason = "there is no fourth way to choose a port")]
pub enum TcpPort {
    /// A free port of the range that the host names. Any free port if the host names no range. Written `none`.
    #[default]
    FromHost,
    /// Any free port, whatever the host names. Written `0`.
    Any,
    /// This port.
    Fixed(NonZeroU16),
}

impl From<u16> for TcpPort {
    fn from(port: u16) -> Self {
        NonZeroU16::new(port).map_or(Self::Any, Self::Fixed)
    }
}

impl Text for TcpPort {
    const ALLOWED: &'static str = "a whole number from 0 to 65535, or none";

    fn from_text(text: &str) -> Option<Self> {
        if text.eq_ignore_ascii_case(NONE) {
            return Some(Self::FromHost);
        }
        text.parse::<u16>().ok().map(Self::from)
    }

    fn to_text(&self) -> String {
        match self {
            Self::FromHost => NONE.to_owned(),
            Self::Any => "0".to_owned(),
            Self::Fixed(port) => port.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rendered_text_is_read_back() {
        for (text, port) in [("none", TcpPort::FromHost), ("0", TcpPort::Any), ("7", TcpPort::from(7))] {
            assert_eq!((TcpPort::from_text(text), port.to_text()), (Some(port), text.to_owned()));
        }
        assert_eq!(TcpPort::from_text("65536"), None);
    }
}
