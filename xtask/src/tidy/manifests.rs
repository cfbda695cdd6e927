//! What every `Cargo.toml` says, and how every crate introduces itself.

use std::fs;

use super::Subject;
use crate::workspace::{self, Crate};

/// Each crate has a description, the workspace's lints and dependencies, and a front page.
pub(super) fn check(subject: &Subject) -> Vec<String> {
    subject.workspace.crates.iter().flat_map(check_crate).collect()
}

fn check_crate(one: &Crate) -> Vec<String> {
    let manifest = fs::read_to_string(&one.manifest).unwrap_or_default();
    let front_page = fs::read_to_string(&one.front_page).unwrap_or_default();
    let mut found = Vec::new();
    if one.published && one.description.as_deref().unwrap_or_default().is_empty() {
        found.push("has no description".to_owned());
    }
    found.extend(check_manifest(&manifest));
    found.extend(check_front_page(&front_page).map(str::to_owned));
    let path = one.manifest.strip_prefix(workspace::root()).unwrap_or(&one.manifest);
    found.into_iter().map(|what| format!("{}: {what}", path.display())).collect()
}

/// Reads the two things that matter line by line: which table we are in, and what its lines say.
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
            found.push(format!("`{line}` belongs in the workspace's table; here say `workspace = true`"));
        }
    }
    if !lints {
        found.push("does not take the workspace's lints".to_owned());
    }
    found
}

/// A charter, a blank line, and something more: what it does not do, an example, the invariants.
fn check_front_page(source: &str) -> Option<&'static str> {
    let docs: Vec<&str> = source.lines().map_while(|line| line.strip_prefix("//!")).collect();
    match docs.as_slice() {
        [] => Some("the crate has no front page: start its source with `//!`"),
        lines if !lines.iter().any(|line| line.trim().is_empty()) => {
            Some("the crate's front page is one paragraph")
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_manifest_passes() {
        let manifest = "[dependencies]\n# why\na.workspace = true\nb = { workspace = true }\n[lints]\nworkspace = true\n";
        assert_eq!(check_manifest(manifest), Vec::<String>::new());
    }

    #[test]
    fn own_versions_and_lints_are_found() {
        let found = check_manifest("[dev-dependencies]\na = \"1\"\n[lints.rust]\nunsafe_code = \"allow\"\n");
        assert_eq!(found.len(), 2, "{found:?}");
    }

    #[test]
    fn front_pages_are_more_than_a_line() {
        assert!(check_front_page("fn main() {}\n").is_some());
        assert!(check_front_page("//! A crate.\n").is_some());
        assert!(check_front_page("//! A crate.\n//!\n//! What it does not do.\n").is_none());
    }
}
