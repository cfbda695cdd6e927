//! The tests that `docs/parity-pyvider.md` names.

use std::fs;

use super::sources::Source;
use crate::workspace::{self, Outcome};

const PAGE: &str = "docs/parity-pyvider.md";

/// Which of the tests that the page names are not there, and which rows are empty.
pub(super) fn faults(sources: &[Source]) -> Outcome<Vec<String>> {
    let page = fs::read_to_string(workspace::root().join(PAGE))?;
    let gone = named(&page).filter(|(file, test)| !exists(sources, file, test));
    let mut faults: Vec<String> =
        gone.map(|(file, test)| format!("{PAGE}: there is no test `{file}::{test}`")).collect();
    let empty =
        |line: &&str| line.starts_with('|') && line.split('|').skip(1).any(|cell| cell.trim().is_empty());
    let rows = page.lines().filter(|line| line.trim_end_matches('|') != *line);
    let rows = rows.filter(|line| empty(&line.trim_end_matches('|')));
    faults.extend(rows.map(|row| format!("{PAGE}: a row is empty: {row}")));
    Ok(faults)
}

/// Everything in backticks that has the form of a file and a test.
fn named(page: &str) -> impl Iterator<Item = (&str, &str)> {
    let quoted = page.split('`').skip(1).step_by(2);
    let is_test = |test: &&str| {
        test.contains('_') && test.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'))
    };
    let is_setting = |file: &str| file.starts_with("settings_");
    quoted.filter_map(move |name| {
        let (file, test) = name.rsplit_once("::")?;
        // A type's method is no test.
        let is_file = !file.bytes().any(|byte| byte.is_ascii_uppercase());
        (is_file && (is_test(&test) || is_setting(file)))
            .then_some((file.rsplit(' ').next().unwrap_or(file), test))
    })
}

/// Whether a file of this name, or a module in a directory of this name, has the test.
fn exists(sources: &[Source], file: &str, test: &str) -> bool {
    let stem = |path: &str| path.split('/').any(|part| part == file || part.trim_end_matches(".rs") == file);
    let head = format!("fn {test}(");
    sources.iter().any(|source| stem(&source.path) && source.text.contains(&head))
}
