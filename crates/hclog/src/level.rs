//! The five levels of hclog.

use std::fmt;

/// The level of a record. [`Trace`](Self::Trace) is the least and [`Error`](Self::Error) the greatest.
///
/// The order of [`tracing::Level`] is the reverse.
#[expect(clippy::exhaustive_enums, reason = "the protocol knows these five and hosts match on all of them")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// The finest detail.
    Trace,
    /// For finding faults. Also the level of text without a known format.
    Debug,
    /// Normal operation.
    Info,
    /// Something is degraded.
    Warn,
    /// Something failed.
    Error,
}

impl Level {
    /// Returns the name in lower case, as in a record.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Trace => "trace",
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }

    /// Reads the name of a level, in any case and with white space around it. Returns `None` for every other word, including
    /// `off`.
    ///
    /// # Protocol
    /// hclog `LevelFromString`, as the host of go-plugin v1.8.0 applies it to `@level`.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        let name = name.trim();
        [Self::Trace, Self::Debug, Self::Info, Self::Warn, Self::Error]
            .into_iter()
            .find(|level| name.eq_ignore_ascii_case(level.as_str()))
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl From<tracing::Level> for Level {
    fn from(level: tracing::Level) -> Self {
        match level {
            tracing::Level::TRACE => Self::Trace,
            tracing::Level::DEBUG => Self::Debug,
            tracing::Level::INFO => Self::Info,
            tracing::Level::WARN => Self::Warn,
            tracing::Level::ERROR => Self::Error,
        }
    }
}

impl From<Level> for tracing::Level {
    fn from(level: Level) -> Self {
        match level {
            Level::Trace => Self::TRACE,
            Level::Debug => Self::DEBUG,
            Level::Info => Self::INFO,
            Level::Warn => Self::WARN,
            Level::Error => Self::ERROR,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Level;

    #[test]
    fn names_and_conversions_go_both_ways() {
        for level in [Level::Trace, Level::Debug, Level::Info, Level::Warn, Level::Error] {
            assert_eq!(Level::parse(level.as_str()), Some(level));
            assert_eq!(Level::from(tracing::Level::from(level)), level);
            assert_eq!(format!("{level:>6}").trim_start(), level.as_str());
        }
        assert!(Level::Trace < Level::Error);
    }

    #[test]
    fn parses_as_go_does() {
        for (name, level) in [
            (" Info ", Some(Level::Info)),
            ("WARN", Some(Level::Warn)),
            ("off", None),
            ("OFF", None),
            ("warning", None),
            ("", None),
        ] {
            assert_eq!(Level::parse(name), level, "{name:?}");
        }
    }
}
