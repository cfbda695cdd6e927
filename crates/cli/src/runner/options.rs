//! The options of `--runner-option`.

use std::{fmt, str::FromStr};

use crate::{error::UsageError, ui::size};

/// An option of `--runner-option`: a key and a value.
#[derive(Debug, Clone)]
pub(crate) struct RunnerOption {
    pub(super) key: String,
    pub(super) value: String,
}

impl FromStr for RunnerOption {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((key, value)) if !key.is_empty() && !value.is_empty() => {
                Ok(Self { key: key.to_owned(), value: value.to_owned() })
            }
            _ => Err("expected KEY=VALUE".to_owned()),
        }
    }
}

impl fmt::Display for RunnerOption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.key, self.value)
    }
}

#[cfg_attr(not(any(feature = "docker", feature = "kube")), expect(dead_code, reason = "options of runners"))]
impl RunnerOption {
    /// The error for a key that a runner does not have.
    pub(super) fn unknown(&self, runner: &str, keys: &str) -> UsageError {
        let message = format!("the runner `{runner}` has no option `{}`", self.key);
        UsageError::new(message, format!("use one of the options: {keys}"))
    }

    /// The value as a size in bytes: a number, or a number with `k`, `m` or `g`, in steps of 1024.
    pub(super) fn bytes(&self) -> Result<u64, UsageError> {
        size::parse(&self.value).ok_or_else(|| self.invalid("give a number of bytes, such as 64m"))
    }

    /// The value as a number.
    pub(super) fn number<T: FromStr>(&self) -> Result<T, UsageError> {
        self.value.parse().map_err(|_| self.invalid("give a number"))
    }

    pub(super) fn invalid(&self, help: &str) -> UsageError {
        UsageError::new(format!("the option `{self}` is invalid"), help)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_keys_with_values() {
        let option = |text: &str| text.parse::<RunnerOption>();
        assert_eq!(option("digest=sha256:a=b").unwrap().value, "sha256:a=b");
        assert!(option("memory").is_err() && option("=1").is_err() && option("memory=").is_err());
        let bytes = |text: &str| option(text).unwrap().bytes();
        assert_eq!(bytes("memory=64m").unwrap(), 64 << 20);
        assert_eq!(bytes("memory=2G").unwrap(), 2 << 30);
        assert_eq!(bytes("memory=100").unwrap(), 100);
        assert!(bytes("memory=m").is_err() && bytes("memory=99999999999999999999g").is_err());
        assert!(option("pids=x").unwrap().number::<i64>().is_err());
    }
}
