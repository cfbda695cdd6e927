//! Lines that no file has: tabs and blanks at the end, paths of the machine it was written on, and unfinished code.

use super::{Subject, Text};

/// Top directories of the machine that are no matter of the repository.
const PRIVATE: &[&str] = &["root", "work"];

/// Looks at every line of every text.
pub(super) fn check(subject: &Subject) -> Vec<String> {
    subject.texts.iter().flat_map(check_text).collect()
}

fn check_text(text: &Text) -> Vec<String> {
    let mut found = Vec::new();
    let is_rust = text.path.ends_with(".rs");
    let has_no_tabs = is_rust || text.path.ends_with(".toml") || text.path.ends_with(".md");
    // Go code has tabs, on pages too.
    let mut is_go = false;
    for (number, line) in (1..).zip(text.content.split('\n')) {
        let mut add = |what: &str| found.push(format!("{}:{number}: {what}", text.path));
        for directory in PRIVATE.iter().filter(|directory| names_directory(line, directory)) {
            add(&format!("a path below /{directory}"));
        }
        let is_unfinished = |word: &&String| is_rust && line.contains(word.as_str()) && !runs_elsewhere(line);
        for word in unfinished().iter().filter(is_unfinished) {
            add(&format!("`{word}` is not for finished code"));
        }
        if line.starts_with("```") {
            is_go = line == "```go";
        }
        if has_no_tabs && line.contains('\t') && !is_go {
            add("tab");
        }
        if has_no_tabs && line.ends_with([' ', '\r']) {
            add("blank at the end of the line");
        }
    }
    if has_no_tabs && !text.content.is_empty() && !text.content.ends_with('\n') {
        found.push(format!("{}: the last line has no end", text.path));
    }
    if text.path.ends_with("/mod.rs") {
        found.push(format!("{}: a module `foo` is `foo.rs`, beside the directory `foo`", text.path));
    }
    found
}

/// Whether the line has a path that starts at this top directory, and not one that passes through a directory of that name.
fn names_directory(line: &str, directory: &str) -> bool {
    line.match_indices(&format!("/{directory}/")).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        before.is_none_or(|before| !before.is_alphanumeric() && !"_-./}".contains(before))
    })
}

/// Put together here, so that this file has none of these words.
fn unfinished() -> [String; 3] {
    [["todo", "!("].concat(), ["unimplemented", "!("].concat(), ["#[", "ignore"].concat()]
}

/// Whether this marks a test that a command of xtask runs, and says which.
fn runs_elsewhere(line: &str) -> bool {
    let line = line.trim();
    line.starts_with(&["#[", "ignore = \""].concat())
        && line.contains(": cargo xtask ")
        && line.ends_with("\"]")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str, content: &str) -> Vec<String> {
        check_text(&Text { path: path.to_owned(), content: content.to_owned() })
    }

    #[test]
    fn each_kind_is_found_with_its_line() {
        assert_eq!(check("a.rs", "a\nb\n"), Vec::<String>::new());
        assert_eq!(check("a.rs", "a\n\tb\n"), ["a.rs:2: tab"]);
        assert_eq!(check("a.md", "```go\n\tb\n```\n\tb\n"), ["a.md:4: tab"]);
        assert_eq!(check("a.rs", "a \n"), ["a.rs:1: blank at the end of the line"]);
        assert_eq!(check("a.rs", "a\r\n"), ["a.rs:1: blank at the end of the line"]);
        assert_eq!(check("a.rs", "a"), ["a.rs: the last line has no end"]);
        assert_eq!(check("a/mod.rs", "").len(), 1);
        for word in unfinished() {
            assert_eq!(check("a.rs", &format!("fn a() {{}}\n{word}\n")).len(), 1, "{word}");
        }
        let elsewhere = ["#[", "ignore = \"needs an engine: cargo xtask containers\"]\n"].concat();
        assert_eq!(check("a.rs", &elsewhere), Vec::<String>::new());
    }

    #[test]
    fn paths_from_the_top_are_found() {
        let directory = PRIVATE[0];
        for line in ["/D/x", "let a = \"/D/x\";", "at=/D/x"] {
            assert_eq!(check("a.go", &line.replace('D', directory)).len(), 1, "{line}");
        }
        for line in ["a/D/x", "./D/x", "/Ded/x"] {
            assert_eq!(check("a.go", &line.replace('D', directory)).len(), 0, "{line}");
        }
    }
}
