//! Values with a fixed set of words.

use std::fmt;

use super::text::Text;

/// A transport between host and plugin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TransportKind {
    /// `unix`: a Unix domain socket. It is faster than TCP, and file permissions protect it.
    Unix,
    /// `tcp`: TCP, for Windows and for connections between containers.
    Tcp,
}

/// The minimum level of log records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum LogLevel {
    /// `trace`: every message.
    Trace,
    /// `debug`: every step of the protocol.
    Debug,
    /// `info`: the main events, a handful of records for one plugin.
    Info,
    /// `warn`, or `warning`: degraded operation.
    Warn,
    /// `error`, or `critical`: failures.
    Error,
}

impl fmt::Display for TransportKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unix => "unix",
            Self::Tcp => "tcp",
        })
    }
}

impl fmt::Display for LogLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Trace => "trace",
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        })
    }
}

impl Text for TransportKind {
    const ALLOWED: &'static str = "unix, tcp, or both with a comma between";

    fn from_text(text: &str) -> Option<Self> {
        match text.to_ascii_lowercase().as_str() {
            "unix" => Some(Self::Unix),
            "tcp" => Some(Self::Tcp),
            _ => None,
        }
    }

    fn to_text(&self) -> String {
        self.to_string()
    }
}

impl Text for LogLevel {
    const ALLOWED: &'static str = "trace, debug, info, warn (or warning) or error (or critical)";

    fn from_text(text: &str) -> Option<Self> {
        match text.to_ascii_lowercase().as_str() {
            "trace" => Some(Self::Trace),
            "debug" => Some(Self::Debug),
            "info" => Some(Self::Info),
            "warn" | "warning" => Some(Self::Warn),
            "error" | "critical" => Some(Self::Error),
            _ => None,
        }
    }

    fn to_text(&self) -> String {
        self.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_have_pyviders_names_too() {
        for (text, level) in [
            ("TRACE", LogLevel::Trace),
            ("Debug", LogLevel::Debug),
            ("INFO", LogLevel::Info),
            ("WARNING", LogLevel::Warn),
            ("CRITICAL", LogLevel::Error),
        ] {
            assert_eq!(LogLevel::from_text(text), Some(level), "{text}");
        }
        assert_eq!(LogLevel::from_text("loud"), None);
    }

    #[test]
    fn a_list_of_transports_keeps_its_order() {
        let both = Vec::<TransportKind>::from_text("tcp , UNIX");
        assert_eq!(both, Some(vec![TransportKind::Tcp, TransportKind::Unix]));
        for text in ["", "ipc", "unix,", "unix tcp"] {
            assert_eq!(Vec::<TransportKind>::from_text(text), None, "{text}");
        }
    }
}
