//! Every `Cargo.toml` takes what the workspace has, every crate introduces itself, and every package is complete.

use std::collections::BTreeSet;
use std::fs;

use serde_json::Value;

use super::Subject;
use crate::workspace::{self, Crate};

/// Fields that users see in the registry, as `cargo metadata` names them. The workspace has values for most.
const FIELDS: &[&str] = &["description", "license", "repository", "homepage", "rust_version"];

/// Categories of the registry that fit crates of this workspace. The registry drops a category that it does not have.
const CATEGORIES: &[&str] = &[
    "asynchronous",
    "authentication",
    "command-line-utilities",
    "config",
    "cryptography",
    "development-tools::build-utils",
    "development-tools::debugging",
    "development-tools::profiling",
    "development-tools::testing",
    "encoding",
    "network-programming",
    "parser-implementations",
];

/// What the generated pages need to show the features of items.
const SHOWS_FEATURES: &str = "#![cfg_attr(docsrs, feature(doc_cfg))]";

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
    if one.is_library() {
        found.extend(check_pages(&one.fields["metadata"]["docs"]["rs"]));
        if !fs::read_to_string(one.front_page()).unwrap_or_default().contains(SHOWS_FEATURES) {
            found.push(format!("the crate's front page has no `{SHOWS_FEATURES}` below its documentation"));
        }
    } else if one.fields["metadata"]["binstall"].is_null() {
        found.push("has no [package.metadata.binstall], which names the archives of a release".to_owned());
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
    match fs::read_to_string(one.manifest.with_file_name("README.md")) {
        Ok(readme) if one.text("readme") == "README.md" => found.extend(check_readme(&readme, one)),
        _ => found.push("has no README.md of its own with `readme = \"README.md\"`".to_owned()),
    }
    found
}

/// The settings of the generated pages: all features, shown at the items that need them, and the systems to build for.
fn check_pages(settings: &Value) -> Vec<String> {
    let all_features = settings["all-features"] == true;
    let shown = settings["rustdoc-args"].as_array().is_some_and(|words| words.contains(&"docsrs".into()));
    let targets = settings["targets"].as_array().is_some_and(|targets| !targets.is_empty());
    let complete = [
        (all_features, "all-features = true"),
        (shown, "rustdoc-args = [\"--cfg\", \"docsrs\"]"),
        (targets, "targets"),
    ];
    let missing = complete.into_iter().filter(|(is_there, _)| !is_there);
    missing.map(|(_, setting)| format!("[package.metadata.docs.rs] has no {setting}")).collect()
}

/// The README of a package has its name and says which compiler it needs. That of a library says how to depend on it.
fn check_readme(readme: &str, one: &Crate) -> Vec<String> {
    let version = one.text("version");
    let line = format!("{} = \"{}\"", one.name, version.rsplit_once('.').map_or(version, |(minor, _)| minor));
    let mut wanted = vec![format!("# {}\n", one.name), format!("Rust {}", one.text("rust_version"))];
    wanted.extend(one.is_library().then_some(line));
    let missing = wanted.into_iter().filter(|text| !readme.contains(text.as_str()));
    missing.map(|text| format!("its README.md does not say `{}`", text.trim_end())).collect()
}

/// The registry takes up to five of each. A keyword has up to 20 letters, digits, `-`, `_` and `+`.
fn check_words(what: &str, words: &Value) -> Vec<String> {
    let words: Vec<&str> = words.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let mut found = Vec::new();
    if words.is_empty() || words.len() > 5 {
        found.push(format!("has {} {what} entries, and not one to five", words.len()));
    }
    let is_allowed = |word: &str| match what {
        "keyword" => word.len() <= 20 && word.chars().all(|c| c.is_ascii_alphanumeric() || "-_+".contains(c)),
        _ => CATEGORIES.contains(&word),
    };
    let refused = words.iter().filter(|word| !is_allowed(word));
    found.extend(
        refused.map(|word| format!("has a {what} that the registry or this rule does not know: {word}")),
    );
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

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
        assert_eq!(faults("keyword", &["a", "b", "c", "d", "e", "f"]), 1);
        assert_eq!(faults("keyword", &["far-too-long-for-a-keyword"]), 1);
        assert_eq!(faults("keyword", &["two words"]), 1);
        assert_eq!(faults("category", &["config", "encoding"]), 0);
        assert_eq!(faults("category", &["no-such-category"]), 1);
    }

    #[test]
    fn pages_without_all_features_are_faults() {
        let whole = json!({ "all-features": true, "rustdoc-args": ["--cfg", "docsrs"], "targets": ["a"] });
        assert_eq!(check_pages(&whole), Vec::<String>::new());
        for name in ["all-features", "rustdoc-args", "targets"] {
            let mut without = whole.clone();
            without[name].take();
            assert_eq!(check_pages(&without).len(), 1, "{name}");
        }
        assert_eq!(check_pages(&Value::Null).len(), 3);
    }

    #[test]
    fn a_readme_has_name_version_and_compiler() {
        let fields = json!({
            "name": "a", "manifest_path": "a/Cargo.toml", "version": "1.2.3", "rust_version": "1.88", "dependencies": [],
            "targets": [{ "kind": ["lib"], "src_path": "a/src/lib.rs" }],
        });
        let one: Crate = serde_json::from_value(fields).unwrap();
        assert_eq!(check_readme("# a\n\na = \"1.2\"\n\nRust 1.88\n", &one), Vec::<String>::new());
        assert_eq!(
            check_readme("# a\n\na = \"1.1\"\n\nRust 1.88\n", &one),
            ["its README.md does not say `a = \"1.2\"`"]
        );
        assert_eq!(check_readme("# b\n", &one).len(), 3);
    }
}
