//! What a new entry of a lock file changes, in words.

use std::path::Path;

use rpcplugin::host::ProgramFile;

use crate::{
    sandbox::{GrantError, excess, words},
    trust::{Entry, LockFile},
    ui::{
        Tree,
        style::{bad, good, warn},
    },
};

/// What a new entry of a lock file changes.
#[derive(Debug)]
pub(super) struct Change {
    lines: Vec<(Kind, String)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// The plugin may do more.
    More,
    /// The plugin may do less.
    Less,
    /// The file of the plugin.
    File,
}

impl Change {
    /// Compares two entries of a file. Grants of the file are read as those of a launch.
    pub(super) fn between(old: Option<&Entry>, new: &Entry, file: &LockFile) -> Result<Self, GrantError> {
        let sandbox =
            |entry: &Entry| entry.sandbox.as_ref().map(|grants| grants.sandbox(file.base())).transpose();
        let mut lines = Vec::new();
        let mut add = |kind, line: String| lines.push((kind, line));
        match old {
            None => add(Kind::File, format!("new, with the digest {}", new.sha256)),
            Some(old) if old.sha256 != new.sha256 => {
                add(
                    Kind::File,
                    format!("another file: its digest is {} in place of {}", new.sha256, old.sha256),
                );
            }
            Some(_) => {}
        }
        let before = old.map(sandbox).transpose()?;
        match (before, sandbox(new)?) {
            (None | Some(Some(_)), None) => add(Kind::More, EVERYTHING.to_owned()),
            (Some(None), None) => {}
            (None, Some(now)) => {
                add(Kind::Less, "is confined".to_owned());
                now.capabilities().iter().for_each(|line| add(Kind::More, format!("may {}", words(line))));
            }
            (Some(None), Some(now)) => {
                add(Kind::Less, "is confined from now on".to_owned());
                now.capabilities()
                    .iter()
                    .for_each(|line| add(Kind::Less, format!("may only {}", words(line))));
            }
            (Some(Some(before)), Some(now)) => {
                excess(&now, &before).iter().for_each(|line| add(Kind::More, format!("may now: {line}")));
                excess(&before, &now)
                    .iter()
                    .for_each(|line| add(Kind::Less, format!("may no longer: {line}")));
            }
        }
        Ok(Self { lines })
    }

    /// The changes, one on each line.
    pub(super) fn lines(&self) -> Vec<&str> {
        self.lines.iter().map(|(_, line)| line.as_str()).collect()
    }

    /// The changes as a tree, before the person is asked.
    pub(super) fn show(&self, key: &str, path: &Path) -> Tree {
        let mut tree = Tree::new(key);
        if let Ok(file) = ProgramFile::of(path) {
            tree.fact("file", format!("{} ({file})", path.display()));
        }
        for (kind, line) in &self.lines {
            tree.line(match kind {
                Kind::More if line == EVERYTHING => bad(line),
                Kind::More => warn(line),
                Kind::Less => good(line),
                Kind::File => line.clone(),
            });
        }
        tree
    }
}

const EVERYTHING: &str = "may do everything that its user may: it has no sandbox";
