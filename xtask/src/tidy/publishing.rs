//! What a crate has to say of itself before it is published, and what has to be in its package.

use std::collections::BTreeSet;
use std::fs;

use super::Subject;
use crate::workspace::{self, Crate};

/// Fields that users see on crates.io and docs.rs, as `cargo metadata` names them. The workspace has a value for them.
const FIELDS: &[&str] = &["license", "repository", "readme", "rust_version"];

/// Both licences are in each package, as links to those of the workspace.
const LICENCES: &[&str] = &["LICENSE-APACHE", "LICENSE-MIT"];

/// Looks at every crate that can be published.
pub(super) fn check(subject: &Subject) -> Vec<String> {
    let published = || subject.workspace.crates.iter().filter(|one| one.published);
    let mut found: Vec<String> = published().flat_map(check_crate).collect();
    let readme = subject.texts.iter().find(|text| text.path == "README.md");
    for version in published().filter_map(|one| one.text("rust_version")).collect::<BTreeSet<_>>() {
        if !readme.is_some_and(|readme| readme.content.contains(&format!("Rust {version} is the oldest"))) {
            found.push(format!("README.md: does not say that Rust {version} is the oldest compiler"));
        }
    }
    found
}

fn check_crate(one: &Crate) -> Vec<String> {
    let mut found: Vec<String> = FIELDS
        .iter()
        .filter(|field| one.text(field).is_none_or(|text| text.is_empty()))
        .map(|field| field.replace('_', "-"))
        .map(|field| format!("has no {field}: {field}.workspace = true"))
        .collect();
    found.extend(check_words("keyword", &one.words("keywords")));
    found.extend(check_words("category", &one.words("categories")));
    if one.metadata("metadata")["docs"]["rs"].is_null() {
        found.push("has no [package.metadata.docs.rs], which names the targets to build".to_owned());
    }
    let manifest = fs::read_to_string(&one.manifest).unwrap_or_default();
    if !manifest.lines().any(|line| line.starts_with("include")) {
        found.push("has no include list: include.workspace = true".to_owned());
    }
    let directory = one.manifest.parent().unwrap_or(&one.manifest);
    for licence in LICENCES {
        let of_workspace = fs::read(workspace::root().join(licence)).ok();
        if of_workspace.is_none() || fs::read(directory.join(licence)).ok() != of_workspace {
            found.push(format!("has no {licence}: ln -s ../../{licence}"));
        }
    }
    found.into_iter().map(|what| format!("{}: {what}", one.name)).collect()
}

/// crates.io takes up to five of each; a keyword has up to 20 letters.
fn check_words(what: &str, words: &[String]) -> Vec<String> {
    let mut found = Vec::new();
    if words.is_empty() || words.len() > 5 {
        found.push(format!("has {} {what} entries, and not one to five", words.len()));
    }
    let too_long = words.iter().filter(|word| what == "keyword" && word.len() > 20);
    found.extend(too_long.map(|word| format!("has a {what} that is too long: {word}")));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_registry_would_refuse_is_found() {
        let words = |list: &[&str]| list.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert!(check_words("keyword", &words(&["a", "b"])).is_empty());
        assert_eq!(check_words("keyword", &[]).len(), 1);
        assert_eq!(check_words("category", &words(&["a", "b", "c", "d", "e", "f"])).len(), 1);
        assert_eq!(check_words("keyword", &words(&["far-too-long-for-a-keyword"])).len(), 1);
    }
}
