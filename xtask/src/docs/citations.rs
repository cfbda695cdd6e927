//! The tests that pages name, row by row: each test has to exist, and a row without a test has to say so.

use super::sources::Source;
use crate::texts::Text;

/// Pages that give a test for each row of their tables.
const PAGES: [&str; 2] = ["docs/features.md", "docs/migration-from-pyvider.md"];

/// Stands before the reason in a row that has no test.
const NO_TEST: &str = "no test";

/// The sources that have the names of the conformance programs' checks, as string literals.
const CHECKS: [&str; 2] = ["tests/src/kit_host", "tests/interop/go/cmd/kit-host"];

/// The faults of all pages.
pub(super) fn faults(sources: &[Source], texts: &[Text]) -> Vec<String> {
    let is_check = |text: &&Text| CHECKS.iter().any(|directory| text.path.starts_with(directory));
    let checks = texts.iter().filter(is_check).map(|text| text.content.as_str()).collect();
    let known = Known { sources, checks };
    let pages = texts.iter().filter(|text| PAGES.contains(&text.path.as_str()));
    let mut faults = Vec::new();
    for page in pages {
        let found = faults_of(&page.content, &known).into_iter();
        faults.extend(found.map(|fault| format!("{}: {fault}", page.path)));
    }
    faults
}

/// Everything that can be cited.
struct Known<'s> {
    sources: &'s [Source],
    /// The sources of the conformance programs.
    checks: String,
}

fn faults_of(page: &str, known: &Known<'_>) -> Vec<String> {
    // Prose cites tests too. A name there is a test if it has the form of a file and a test.
    let mut faults: Vec<String> =
        quoted(page).filter(|name| is_file_and_test(name) && !known.has(name)).map(missing).collect();
    let mut names_tests = None;
    for line in page.lines() {
        let Some(inner) = line.strip_prefix('|') else {
            names_tests = None;
            continue;
        };
        let cells: Vec<_> = inner.strip_suffix('|').unwrap_or(inner).split('|').map(str::trim).collect();
        let cited = cells.last().copied().unwrap_or_default();
        let Some(names_tests) = names_tests else {
            names_tests = Some(cited.to_lowercase().starts_with("test"));
            continue;
        };
        if cells.iter().any(|cell| cell.is_empty()) {
            faults.push(format!("a cell is empty: {line}"));
        } else if names_tests && !inner.starts_with("--") && !cited.starts_with(NO_TEST) {
            let names: Vec<_> = quoted(cited).filter(|name| can_be_test(name)).collect();
            if names.is_empty() {
                faults.push(format!("the row has neither a test nor `{NO_TEST}`: {line}"));
            }
            let gone = |name: &&&str| !is_file_and_test(name) && !known.has(name);
            faults.extend(names.iter().filter(gone).map(|name| missing(name)));
        }
    }
    faults
}

fn missing(name: &str) -> String {
    format!("there is no test `{name}`")
}

/// The texts in backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// Whether this has the form of a file and a test, and not of a type and its method.
fn is_file_and_test(name: &str) -> bool {
    let Some((file, test)) = name.rsplit_once("::") else { return false };
    let is_test = test.contains('_') || test == "tests" || file.starts_with("settings_");
    let is_plain = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_');
    is_test && test.bytes().all(is_plain) && !file.bytes().any(|byte| byte.is_ascii_uppercase())
}

/// Whether this can be the name of a test, and not a variable, a type or a crate.
fn can_be_test(name: &str) -> bool {
    !name.contains('=')
        && !name.starts_with("rpcplugin-")
        && !name.bytes().any(|byte| byte.is_ascii_uppercase())
}

impl Known<'_> {
    /// Whether there is such a test, in the file and modules before it. A bare name may also be a file of tests, an example,
    /// or a check of a conformance program.
    fn has(&self, name: &str) -> bool {
        let mut parts: Vec<&str> =
            name.split([':', ' ']).filter(|part| !part.is_empty() && *part != "*").collect();
        let Some(test) = parts.pop() else { return false };
        let within = |source: &&Source| {
            parts.iter().all(|part| has_part(&source.path, part) || has_module(&source.text, part))
        };
        let bare = !name.contains("::");
        let is_file = |source: &Source| is_file_called(&source.path, test) || source.path == test;
        self.sources.iter().filter(within).any(|source| has_test(source, test) || bare && is_file(source))
            || bare && self.checks.contains(&format!("\"{test}\""))
    }
}

/// Whether the file has a test, or a module of tests, of this name.
fn has_test(source: &Source, test: &str) -> bool {
    if test == "tests" && source.path.ends_with("/tests.rs") || has_module(&source.text, test) {
        return true;
    }
    let head = format!("fn {test}(");
    source.text.match_indices(&head).any(|(at, _)| {
        let line = source.text[..at].rfind('\n').unwrap_or_default();
        let before = source.text[..line].lines().rev().map(str::trim);
        let is_above = |line: &&str| line.starts_with("#[") || line.starts_with("//");
        source.is_test() || before.take_while(is_above).any(|line| line.contains("test"))
    })
}

/// Whether the text has a module of this name, with its body.
fn has_module(text: &str, name: &str) -> bool {
    text.contains(&format!("mod {name} {{"))
}

/// Whether this is the file, or the directory of test files, of this name.
fn is_file_called(path: &str, name: &str) -> bool {
    let (directory, file) = path.rsplit_once('/').unwrap_or_default();
    file.trim_end_matches(".rs") == name
        || directory.rsplit_once("tests/").is_some_and(|(_, below)| has_part(below, name))
}

/// Whether a file, or a directory above it, has this name.
fn has_part(path: &str, name: &str) -> bool {
    path.split('/').any(|part| part.trim_end_matches(".rs") == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources() -> Vec<Source> {
        let source = |path: &str, text: &str| Source { path: path.to_owned(), text: text.to_owned() };
        vec![
            source("tests/tests/life/endings.rs", "#[test]\nfn it_ends() {}\n"),
            source("tests/tests/launch.rs", "#[test]\nfn it_starts() {}\n"),
            source(
                "crates/a/src/budget.rs",
                "fn used_up() {}\n#[cfg(test)]\nmod tests {\n#[test]\nfn spent_it() {}\n}\n",
            ),
            source("crates/a/src/router/tests.rs", "mod go { #[test]\nfn it_turns() {} }"),
        ]
    }

    fn found_in(page: &str) -> Vec<String> {
        faults_of(page, &Known { sources: &sources(), checks: "own!(\"redial\")".to_owned() })
    }

    fn found(rows: &str) -> Vec<String> {
        found_in(&format!("| what | Test |\n|---|---|\n{rows}\n"))
    }

    #[test]
    fn tests_that_exist_are_found() {
        for cited in [
            "`endings::it_ends`",
            "`life::*::it_ends`",
            "`it_starts`",
            "`::it_starts`",
            "all of `endings`, `redial`",
            "`budget::tests`, `crates/a/src/budget.rs`",
            "`budget::tests::spent_it`, `router::tests`, `a router::go::it_turns`, `router::go`",
            "`redial` (`MANY=1` makes more) in `rpcplugin-a`",
            "in `endings`: `it_ends`",
            "no test: typing only",
        ] {
            assert_eq!(found(&format!("| a | {cited} |")), Vec::<String>::new(), "{cited}");
        }
    }

    #[test]
    fn a_missing_test_and_a_row_without_one_are_faults() {
        for cited in [
            "`endings::it_starts`",
            "`it_vanished`",
            "`endings::it_vanished`",
            "all of `vanished`",
            "`launch::tests`",
            "`used_up`",
            "trust me",
            "",
        ] {
            assert_eq!(found(&format!("| a | {cited} |")).len(), 1, "{cited}");
        }
        assert_eq!(found("| | `it_starts` |").len(), 1, "an empty cell");
        assert_eq!(found_in("prose: `endings::it_vanished`").len(), 1);
        let other = "| what | cost |\n|---|---|\n| `anything` | 1 µs |\n";
        assert_eq!(found_in(other), Vec::<String>::new(), "a table of something else");
    }
}
