//! `cargo xtask tidy`: the house rules that neither the compiler nor clippy knows.
//!
//! Each rule is a file with one `check`, which returns a line for each fault. The same checks run as a test.

mod arrows;
mod examples;
mod excerpts;
mod imports;
mod links;
mod machine_paths;
mod manifests;
mod rooms;
mod sources;
mod whitespace;
mod words;

use std::fs;
use std::path::Path;

use crate::workspace::{self, Outcome, Workspace};
use crate::{bench, interop};

/// One file of the repository, as the rules about text see it.
struct Text {
    /// Relative to the workspace, with forward slashes.
    path: String,
    content: String,
}

/// Everything that the rules look at.
struct Subject {
    workspace: Workspace,
    texts: Vec<Text>,
}

/// A rule: its name, and how it is checked.
type Rule = (&'static str, fn(&Subject) -> Vec<String>);

const RULES: &[Rule] = &[
    ("arrows", arrows::check),
    ("rooms", rooms::check),
    ("manifests", manifests::check),
    ("sources", sources::check),
    ("examples", examples::check),
    ("excerpts", excerpts::check),
    ("links", links::check),
    // The tables of the README and of `docs/` are those of the recorded results.
    ("performance", |subject| bench::check(|path| subject.read(path))),
    ("interop", |subject| interop::check_table(|path| subject.read(path))),
    ("whitespace", whitespace::check),
    ("machine paths", machine_paths::check),
    ("words", words::check),
];

/// Directories without files of the repository.
const SKIPPED: &[&str] = &["target", ".git", "__pycache__", "node_modules"];

/// Files are read as text if they end like this, or are scripts in `.ci`.
const READ: &[&str] =
    &["rs", "md", "toml", "proto", "go", "py", "mod", "txt", "json", "yml", "yaml", "sh", "tf", "svg"];

/// Checks every rule and prints the faults.
pub(crate) fn run() -> Outcome {
    let subject = Subject::load()?;
    let mut broken = 0;
    for (name, check) in RULES {
        let found = check(&subject);
        if found.is_empty() {
            println!("ok    {name}");
        } else {
            broken += 1;
            println!("BAD   {name}");
        }
        for line in found {
            println!("      {line}");
        }
    }
    if broken == 0 { Ok(()) } else { Err(format!("{broken} of {} rules are broken", RULES.len()).into()) }
}

impl Subject {
    fn load() -> Outcome<Self> {
        let root = workspace::root();
        let mut texts = Vec::new();
        collect(&root, &root, &mut texts)?;
        texts.sort_by(|left, right| left.path.cmp(&right.path));
        Ok(Self { workspace: Workspace::load()?, texts })
    }

    /// The text of a file.
    fn read(&self, path: &str) -> Option<String> {
        self.texts.iter().find(|text| text.path == path).map(|text| text.content.clone())
    }
}

/// Reads all text files below the directory.
fn collect(root: &Path, directory: &Path, texts: &mut Vec<Text>) -> Outcome {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_symlink() || SKIPPED.contains(&name.as_str()) {
            continue;
        }
        if path.is_dir() {
            collect(root, &path, texts)?;
            continue;
        }
        let relative = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().replace('\\', "/");
        let ending = path.extension().unwrap_or_default().to_string_lossy().into_owned();
        if READ.contains(&ending.as_str()) || relative.starts_with(".ci/") {
            texts.push(Text {
                path: relative,
                content: String::from_utf8_lossy(&fs::read(&path)?).into_owned(),
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_workspace_keeps_every_rule() {
        let subject = Subject::load().unwrap();
        let found: Vec<String> = RULES.iter().flat_map(|(_, check)| check(&subject)).collect();
        assert!(found.is_empty(), "run `cargo xtask tidy`:\n{}", found.join("\n"));
    }
}
