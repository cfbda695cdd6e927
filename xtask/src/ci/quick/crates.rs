//! The crates of the workspace, and which of their tests contain a file.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use crate::workspace::{Outcome, Workspace, root};

/// The crates of the workspace.
#[derive(Debug, Default)]
pub(super) struct Crates(pub(super) Vec<Crate>);

/// A crate of the workspace.
#[derive(Debug, Default)]
pub(super) struct Crate {
    /// The folder, as a path in the workspace.
    pub(super) folder: String,
    pub(super) name: String,
    /// The tests of its folder `tests`. Each has the files that it includes by `#[path]`, as paths in that folder.
    pub(super) tests: BTreeMap<String, BTreeSet<String>>,
}

impl Crates {
    pub(super) fn load() -> Outcome<Self> {
        let mut crates = Self::default();
        for one in Workspace::load()?.crates {
            let folder = one.manifest.parent().and_then(|folder| folder.strip_prefix(root()).ok());
            let folder = folder.ok_or("a crate is outside of the workspace")?.display().to_string();
            let tests = tests_in(&root().join(&folder).join("tests"))?;
            crates.0.push(Crate { folder, name: one.name, tests });
        }
        Ok(crates)
    }

    /// The crate that a file belongs to, and the file's path in it.
    pub(super) fn of<'c, 'f>(&'c self, file: &'f str) -> Option<(&'c Crate, &'f str)> {
        let within = |one: &'c Crate| Some((one, file.strip_prefix(one.folder.as_str())?.strip_prefix('/')?));
        self.0.iter().filter_map(within).max_by_key(|(one, _)| one.folder.len())
    }
}

impl Crate {
    /// The tests that contain a file of the folder `tests`.
    pub(super) fn tests_with<'c>(&'c self, file: &'c str) -> impl Iterator<Item = &'c str> {
        let own = file.split('/').next().unwrap_or(file);
        let own = own.strip_suffix(".rs").unwrap_or(own);
        let contains = move |(name, included): &(&'c String, &'c BTreeSet<String>)| {
            *name == own || included.contains(file)
        };
        self.tests.iter().filter(contains).map(|(name, _)| name.as_str())
    }
}

/// The tests in a crate's folder `tests`, as [`Crate::tests`] has them.
fn tests_in(folder: &Path) -> Outcome<BTreeMap<String, BTreeSet<String>>> {
    let mut tests = BTreeMap::new();
    if !folder.exists() {
        return Ok(tests);
    }
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let (source, prefix) = match path.extension() {
            Some(ending) if ending == "rs" => (path.clone(), String::new()),
            _ => {
                let folder = path.file_name().unwrap_or_default().to_string_lossy();
                (path.join("main.rs"), format!("{folder}/"))
            }
        };
        if source.is_file() {
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            let source = fs::read_to_string(source)?;
            tests.insert(name, included(&source).map(|file| format!("{prefix}{file}")).collect());
        }
    }
    Ok(tests)
}

/// The files that a source includes by `#[path]`.
fn included(source: &str) -> impl Iterator<Item = &str> {
    source.lines().filter_map(|line| line.trim().strip_prefix("#[path = \"")?.strip_suffix("\"]"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_of_a_test_are_read_out_of_its_source() {
        let folder = tempfile::tempdir().expect("a directory");
        let write = |file: &str, text: &str| fs::write(folder.path().join(file), text).expect("writable");
        for inner in ["a", "b", "data"] {
            fs::create_dir(folder.path().join(inner)).expect("made");
        }
        write("a.rs", "#[path = \"a/x.rs\"]\nmod x;\n\n    #[path = \"b/y.rs\"]\nmod y;\n");
        write("b/main.rs", "mod y;\n#[path = \"z.rs\"]\nmod other;\n");
        write("data/a.pem", "");
        let set = |files: &[&str]| files.iter().map(|file| (*file).to_owned()).collect();
        let expected = [("a".to_owned(), set(&["a/x.rs", "b/y.rs"])), ("b".to_owned(), set(&["b/z.rs"]))];
        assert_eq!(tests_in(folder.path()).expect("readable"), BTreeMap::from(expected));
        assert_eq!(tests_in(&folder.path().join("c")).expect("empty"), BTreeMap::new());
    }
}
