//! Every `Cargo.toml` takes what the workspace has, every crate introduces itself, and every package is complete.

use std::collections::BTreeSet;
use std::fs;

use serde_json::Value;

use super::Subject;
use crate::workspace::{self, Crate};

/// Fields that users see on crates.io and docs.rs, as `cargo metadata` names them. The workspace has values for most.
const FIELDS: &[&str] = &["description", "license", "repository", "readme", "rust_version"];

/// Both licences are in each package, as links to those of the workspace.
const LICENCES: &[&str] = &["LICENSE-APACHE", "LICENSE-MIT"];

/// Looks at every crate, and more closely at those that can be published.
pub(super) fn check(subject: &Subject) -> Vec<String> {
    let mut found = Vec::new();
    let mut add = |one: &Crate, faults: Vec<String>| {
        let path = one.manifest.strip_prefix(workspace::root()).unwrap_or(&one.manifest).display();
        found.extend(faults.into_iter().map(|fault| format!("{path}: {fault}")));
    };
    for one in &subject.workspace.crates {
        add(one, check_manifest(&fs::read_to_string(&one.manifest).unwrap_or_default()));
        add(one, check_front_page(&fs::read_to_string(one.front_page()).unwrap_or_default()));
    }
    for one in subject.workspace.published() {
        add(one, check_package(one));
    }
    let readme = subject.read("README.md").unwrap_or_default();
    let versions: BTreeSet<_> = subject.workspace.published().map(|one| one.text("rust_version")).collect();
    for version in versions {
        if !readme.contains(&format!("Rust {version} is the oldest")) {
            found.push(format!("README.md: does not say that Rust {version} is the oldest compiler"));
        }
    }
    found
}

/// Reads the manifest line by line: the current table, and the lines of it.
fn check_manifest(manifest: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut table = "";
    let mut lints = false;
    for line in manifest.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if line.starts_with('[') {
            table = line.trim_matches(['[', ']']);
        } else if table == "lints" {
            lints |= line == "workspace = true";
        } else if table.ends_with("dependencies") && !line.contains("workspace = true") {
            found.push(format!("`{line}` belongs in the workspace's table; here write `workspace = true`"));
        }
    }
    if !lints {
        found.push("does not take the workspace's lints".to_owned());
    }
    found
}

/// The documentation of a crate begins with its purpose, a blank line, and something more.
fn check_front_page(source: &str) -> Vec<String> {
    let docs: Vec<&str> = source.lines().map_while(|line| line.strip_prefix("//!")).collect();
    if docs.is_empty() {
        vec!["the crate has no front page: start its source with `//!`".to_owned()]
    } else if !docs.iter().any(|line| line.trim().is_empty()) {
        vec!["the crate's front page is one paragraph".to_owned()]
    } else {
        Vec::new()
    }
}

fn check_package(one: &Crate) -> Vec<String> {
    let without = FIELDS.iter().filter(|field| one.text(field).is_empty());
    let mut found: Vec<String> = without.map(|field| format!("has no {}", field.replace('_', "-"))).collect();
    found.extend(check_words("keyword", &one.fields["keywords"]));
    found.extend(check_words("category", &one.fields["categories"]));
    if one.fields["metadata"]["docs"]["rs"].is_null() {
        found.push("has no [package.metadata.docs.rs], which names the targets to build".to_owned());
    }
    let manifest = fs::read_to_string(&one.manifest).unwrap_or_default();
    if !manifest.lines().any(|line| line.starts_with("include")) {
        found.push("has no include list: include.workspace = true".to_owned());
    }
    for licence in LICENCES {
        let of_workspace = fs::read(workspace::root().join(licence)).ok();
        if of_workspace.is_none() || fs::read(one.manifest.with_file_name(licence)).ok() != of_workspace {
            found.push(format!("has no {licence}: ln -s ../../{licence}"));
        }
    }
    found
}

/// crates.io takes up to five of each; a keyword has up to 20 letters.
fn check_words(what: &str, words: &Value) -> Vec<String> {
    let words: Vec<&str> = words.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
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
    fn own_versions_and_lints_are_faults() {
        let plain = "[dependencies]\n# why\na.workspace = true\nb = { workspace = true }\n[lints]\nworkspace = true\n";
        assert_eq!(check_manifest(plain), Vec::<String>::new());
        let found = check_manifest("[dev-dependencies]\na = \"1\"\n[lints.rust]\nunsafe_code = \"allow\"\n");
        assert_eq!(found.len(), 2, "{found:?}");
    }

    #[test]
    fn a_front_page_has_more_than_a_line() {
        for (source, faults) in
            [("fn main() {}\n", 1), ("//! A crate.\n", 1), ("//! A crate.\n//!\n//! More.\n", 0)]
        {
            assert_eq!(check_front_page(source).len(), faults, "{source}");
        }
    }

    #[test]
    fn words_that_the_registry_refuses_are_faults() {
        let faults = |what, words: &[&str]| check_words(what, &words.into()).len();
        assert_eq!(faults("keyword", &["a", "b"]), 0);
        assert_eq!(faults("keyword", &[]), 1);
        assert_eq!(faults("category", &["a", "b", "c", "d", "e", "f"]), 1);
        assert_eq!(faults("keyword", &["far-too-long-for-a-keyword"]), 1);
    }
}
