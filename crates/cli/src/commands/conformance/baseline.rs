//! Known failures of a plugin, which do not fail the run.

use std::{collections::BTreeSet, fs, path::Path};

use super::check::Check;
use crate::error::UsageError;

/// The checks whose failures are known.
#[derive(Debug, Default)]
pub(super) struct Baseline(BTreeSet<&'static str>);

impl Baseline {
    /// Reads a file with one check name per line. A `#` starts a comment.
    pub(super) fn read(path: &Path, all: impl Iterator<Item = &'static Check>) -> Result<Self, UsageError> {
        let names: BTreeSet<&'static str> = all.map(|check| check.name).collect();
        let text = fs::read_to_string(path).map_err(|error| {
            let help = "name a file with one check name per line with --baseline";
            UsageError::new(format!("{} cannot be read: {error}", path.display()), help)
        })?;
        let mut known = BTreeSet::new();
        for (number, line) in text.lines().enumerate() {
            let name = line.split('#').next().unwrap_or_default().trim();
            if name.is_empty() {
                continue;
            }
            let Some(name) = names.get(name) else {
                let help = "see `rpcplugin conformance --list` for the names; a baseline has one name per line, and comments after \
                            `#`";
                let number = number + 1;
                let message =
                    format!("there is no check {name:?}, named on line {number} of {}", path.display());
                return Err(UsageError::new(message, help));
            };
            known.insert(*name);
        }
        Ok(Self(known))
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.0.contains(name)
    }
}
