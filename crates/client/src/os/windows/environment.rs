//! The environment of a process.

use std::{
    ffi::{OsStr, OsString},
    hash::{Hash, Hasher},
};

/// The name of a variable. Two names are the same if they differ in the case of ASCII letters alone, as `Path` and `PATH`
/// do.
#[derive(Debug, Clone)]
pub(crate) struct VariableName(OsString);

/// Whether a process needs this variable, however little it may inherit: `SystemRoot`, without which many libraries of
/// Windows do not load. A command that removes the variable by name removes it all the same.
///
/// Go adds it to each environment too (`os/exec`, `addCriticalEnv`).
pub(crate) fn is_always_inherited(name: &VariableName) -> bool {
    *name == *"SystemRoot"
}

/// The value of a variable of this process.
pub(crate) fn host_variable(name: &str) -> Option<OsString> {
    std::env::vars_os().find_map(|(known, value)| known.eq_ignore_ascii_case(name).then_some(value))
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

impl PartialEq for VariableName {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl Eq for VariableName {}

impl PartialEq<str> for VariableName {
    fn eq(&self, name: &str) -> bool {
        self.0.eq_ignore_ascii_case(name)
    }
}

impl Hash for VariableName {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.to_ascii_lowercase().hash(state);
    }
}

impl AsRef<OsStr> for VariableName {
    fn as_ref(&self) -> &OsStr {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn names_are_the_same_in_any_case() {
        let mut environment = HashMap::from([(VariableName::from("Path"), "a")]);
        environment.insert(VariableName::from(OsString::from("PATH")), "b");
        assert_eq!((environment.len(), environment.get(&VariableName::from("path"))), (1, Some(&"b")));
        assert!(is_always_inherited(&VariableName::from("SYSTEMROOT")));
        assert!(!is_always_inherited(&VariableName::from("windir")));
    }
}
