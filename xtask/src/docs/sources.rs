//! The Rust sources of the workspace, each split into what is shipped and what tests it.

use std::fs;
use std::path::Path;

use crate::workspace::{self, Outcome};

/// One Rust file.
pub(super) struct Source {
    /// Relative to the workspace, with forward slashes.
    pub(super) path: String,
    pub(super) text: String,
}

/// Every Rust file of the crates, the tests and the tools.
pub(super) fn load() -> Outcome<Vec<Source>> {
    let root = workspace::root();
    let mut sources = Vec::new();
    for directory in ["crates", "tests", "xtask/src"] {
        collect(&root, &root.join(directory), &mut sources)?;
    }
    sources.sort_by(|left, right| left.path.cmp(&right.path));
    Ok(sources)
}

fn collect(root: &Path, directory: &Path, sources: &mut Vec<Source>) -> Outcome {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(root, &path, sources)?;
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            let relative = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().replace('\\', "/");
            sources.push(Source { path: relative, text: fs::read_to_string(&path)? });
        }
    }
    Ok(())
}

impl Source {
    /// Whether it is part of a library that users build.
    pub(super) fn is_shipped(&self) -> bool {
        self.path.starts_with("crates/") && self.path.contains("/src/") && !self.is_test()
    }

    /// Whether all of it is tests or examples.
    pub(super) fn is_test(&self) -> bool {
        let of_crate = ["/tests/", "/examples/"].iter().any(|part| self.path.contains(part));
        self.path.starts_with("tests/tests/") || of_crate || self.path.ends_with("/tests.rs")
    }

    /// The part of it that tests: all of a test, the test module and the examples in the docs of a source.
    pub(super) fn tests(&self) -> String {
        if self.is_test() {
            return self.text.clone();
        }
        let (shipped, tests) = self.text.split_once("#[cfg(test)]").unwrap_or((&self.text, ""));
        let in_docs = |line: &&str| line.trim_start().starts_with("//");
        let docs: Vec<&str> = shipped.lines().filter(in_docs).collect();
        format!("{}\n{tests}", docs.join("\n"))
    }
}
