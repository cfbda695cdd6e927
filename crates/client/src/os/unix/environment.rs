//! The environment of a process.

use std::ffi::{OsStr, OsString};

/// The name of a variable. Two names are the same if their bytes are.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct VariableName(OsString);

/// Whether a process needs this variable, however little it may inherit. There is no such variable on Unix.
pub(crate) fn is_always_inherited(_: &VariableName) -> bool {
    false
}

/// The value of a variable of this process.
pub(crate) fn host_variable(name: &str) -> Option<OsString> {
    std::env::vars_os().find_map(|(known, value)| (known == name).then_some(value))
}

impl From<OsString> for VariableName {
    fn from(name: OsString) -> Self {
        Self(name)
    }
}

impl From<&str> for VariableName {
    fn from(name: &str) -> Self {
        Self(name.into())
    }
}

impl PartialEq<str> for VariableName {
    fn eq(&self, name: &str) -> bool {
        self.0 == name
    }
}

impl AsRef<OsStr> for VariableName {
    fn as_ref(&self) -> &OsStr {
        &self.0
    }
}
