//! Each test and each code in the fault tables of `docs/testing.md` exists.

use super::{Subject, Text};

const PAGE: &str = "docs/testing.md";
const HEADING: &str = "\n## Faults\n";
const CODES: &str = "docs/errors.md";

/// Looks up each test in its file, and each code in the list of codes.
pub(super) fn check(subject: &Subject) -> Vec<String> {
    let Some(page) = subject.read(PAGE) else { return vec![format!("there is no {PAGE}")] };
    let Some((_, tables)) = page.split_once(HEADING) else {
        return vec![format!("{PAGE} has no fault tables")];
    };
    let rows: Vec<&str> = tables.lines().filter(|line| line.starts_with("| ") && !is_head(line)).collect();
    let codes = subject.read(CODES).unwrap_or_default();
    let mut found: Vec<String> = rows.iter().flat_map(|row| faults(row, &subject.texts, &codes)).collect();
    if rows.is_empty() {
        found.push(format!("{PAGE} has no fault"));
    }
    found
}

fn is_head(row: &str) -> bool {
    row.starts_with("| fault |")
}

/// What is wrong with one row.
fn faults(row: &str, texts: &[Text], codes: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut tests = 0;
    for link in row.split("[`").skip(1) {
        let Some((name, path)) =
            link.split_once("`](../").and_then(|(name, rest)| Some((name, rest.split_once(')')?.0)))
        else {
            found.push(format!("{PAGE}: not a link to a test: {link}"));
            continue;
        };
        tests += 1;
        if !texts.iter().any(|text| text.path == path && has_test(&text.content, name)) {
            found.push(format!("{PAGE}: {path} has no test {name}"));
        }
    }
    if tests == 0 {
        found.push(format!("{PAGE}: no test: {row}"));
    }
    let named = row.split('`').filter(|word| word.starts_with("rpcplugin::"));
    found.extend(
        named
            .filter(|code| !codes.contains(&format!("### `{code}`\n")))
            .map(|code| format!("{PAGE}: {CODES} has no {code}")),
    );
    found
}

/// Whether a file has a test with this name: a function below an attribute of a test.
fn has_test(content: &str, name: &str) -> bool {
    let mut is_test = false;
    for line in content.lines().map(str::trim) {
        if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
            is_test = true;
        } else if is_test && !line.starts_with("#[") {
            is_test = false;
            if line.contains(&format!("fn {name}(")) {
                return true;
            }
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_without_their_test_or_code_are_found() {
        let texts = [Text {
            path: "tests/a.rs".to_owned(),
            content: "fn helper() {}\n#[test]\nfn it_holds() {}\n#[tokio::test]\nasync fn it_waits() {}\n"
                .to_owned(),
        }];
        let codes = "### `rpcplugin::a::b`\n";
        let row = |code: &str, test: &str, path: &str| {
            faults(&format!("| a fault | 1 s | `{code}` | nothing | [`{test}`](../{path}) |"), &texts, codes)
                .len()
        };
        assert_eq!(row("rpcplugin::a::b", "it_holds", "tests/a.rs"), 0);
        assert_eq!(row("UNAVAILABLE", "it_waits", "tests/a.rs"), 0);
        assert_eq!(row("rpcplugin::a::c", "it_holds", "tests/a.rs"), 1);
        assert_eq!(row("UNAVAILABLE", "helper", "tests/a.rs"), 1);
        assert_eq!(row("UNAVAILABLE", "it_holds", "tests/b.rs"), 1);
        assert_eq!(faults("| a fault | 1 s | none | nothing | |", &texts, codes).len(), 1);
    }
}
