//! Links from page to page lead to a file that exists, and to a heading in it.

use std::collections::BTreeMap;

use super::{Subject, Text};
use crate::workspace;

/// The address of this repository's files, for pages that are read elsewhere, such as the README of a package.
const REPOSITORY: &str = "https://github.com/rpcplugin/rpcplugin/blob/main/";

/// Looks at every link of every page that is not an address on the web, or is one of a file of this repository.
pub(super) fn check(subject: &Subject) -> Vec<String> {
    let mut found = Vec::new();
    for page in subject.texts.iter().filter(|text| text.path.ends_with(".md")) {
        for (line, target) in targets(&page.content) {
            if let Err(why) = resolve(subject, page, target) {
                found.push(format!("{}:{line}: {target}: {why}", page.path));
            }
        }
    }
    found
}

/// The targets of links, with their lines. Code and pictures are left out.
fn targets(markdown: &str) -> Vec<(usize, &str)> {
    let mut targets = Vec::new();
    let mut in_code = false;
    for (line, text) in (1..).zip(markdown.lines()) {
        in_code ^= text.starts_with("```");
        if in_code || text.starts_with("![") {
            continue;
        }
        let after = text.split("](").skip(1);
        targets.extend(after.filter_map(|rest| Some((line, rest.split_once(')')?.0))));
    }
    targets
}

fn resolve(subject: &Subject, page: &Text, target: &str) -> Result<(), &'static str> {
    let (page, target) = match target.strip_prefix(REPOSITORY) {
        Some(target) => ("README.md", target),
        None if target.contains("://") => return Ok(()),
        None => (page.path.as_str(), target),
    };
    let (file, heading) = target.split_once('#').unwrap_or((target, ""));
    let path = if file.is_empty() { page.to_owned() } else { beside(page, file) };
    if !workspace::root().join(&path).exists() {
        return Err("there is no such file");
    }
    if heading.is_empty() || !path.ends_with(".md") {
        return Ok(());
    }
    let there = subject.texts.iter().find(|text| text.path == path).ok_or("there is no such page")?;
    if anchors(&there.content).iter().any(|anchor| anchor == heading) {
        Ok(())
    } else {
        Err("there is no such heading")
    }
}

/// A path relative to the page's directory, from the top of the repository.
fn beside(page: &str, file: &str) -> String {
    let mut parts: Vec<_> = page.split('/').collect();
    parts.pop();
    for part in file.split('/') {
        match part {
            "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// The anchors of headings, as forges make them: letters, digits, `-` and `_`, and a number for a repeated heading.
fn anchors(markdown: &str) -> Vec<String> {
    let mut anchors = Vec::new();
    let mut seen = BTreeMap::new();
    let mut in_code = false;
    for line in markdown.lines() {
        in_code ^= line.starts_with("```");
        if in_code || !line.starts_with('#') {
            continue;
        }
        let heading = line.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
        let anchor: String =
            heading.chars().filter(|each| each.is_alphanumeric() || matches!(each, '-' | '_')).collect();
        let times = seen.entry(anchor.clone()).and_modify(|times| *times += 1).or_insert(0);
        anchors.push(if *times == 0 { anchor } else { format!("{anchor}-{times}") });
    }
    anchors
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_outside_of_code_are_found() {
        let page = "see [a](b.md) and [`c`](d.md#e)\n```text\n[x](y)\n```\n[f](https://g)\n";
        assert_eq!(targets(page), [(1, "b.md"), (1, "d.md#e"), (5, "https://g")]);
    }

    #[test]
    fn headings_have_anchors() {
        let page = "# A page\n## `grace`\n```sh\n# none\n```\n## grace\n### `a::b_c`\n";
        assert_eq!(anchors(page), ["a-page", "grace", "grace-1", "ab_c"]);
    }

    #[test]
    fn paths_are_relative_to_the_page() {
        assert_eq!(beside("docs/guide/a.md", "../errors.md"), "docs/errors.md");
        assert_eq!(beside("README.md", "docs/guide/README.md"), "docs/guide/README.md");
    }
}
