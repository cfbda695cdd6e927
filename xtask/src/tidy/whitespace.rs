//! No tabs and nothing invisible at the end of a line. Only Go code, which is written so, has tabs on pages.

use super::{Subject, Text};

/// Looks at Rust, TOML and Markdown.
pub(super) fn check(subject: &Subject) -> Vec<String> {
    let checked = |text: &&Text| [".rs", ".toml", ".md"].iter().any(|ending| text.path.ends_with(ending));
    subject.texts.iter().filter(checked).flat_map(check_text).collect()
}

fn check_text(text: &Text) -> Vec<String> {
    let mut found = Vec::new();
    let mut is_go = false;
    for (number, line) in (1..).zip(text.content.split('\n')) {
        if line.starts_with("```") {
            is_go = line == "```go";
        }
        if line.contains('\t') && !is_go {
            found.push(format!("{}:{number}: tab", text.path));
        }
        if line.ends_with([' ', '\r']) {
            found.push(format!("{}:{number}: blank at the end of the line", text.path));
        }
    }
    if !text.content.is_empty() && !text.content.ends_with('\n') {
        found.push(format!("{}: the last line has no end", text.path));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_is_found_with_its_line() {
        let check =
            |content: &str| check_text(&Text { path: "a.rs".to_owned(), content: content.to_owned() });
        assert_eq!(check("a\nb\n"), Vec::<String>::new());
        assert_eq!(check("a\n\tb\n"), ["a.rs:2: tab"]);
        assert_eq!(check("```go\n\tb\n```\n\tb\n"), ["a.rs:4: tab"]);
        assert_eq!(check("a \n"), ["a.rs:1: blank at the end of the line"]);
        assert_eq!(check("a\r\n"), ["a.rs:1: blank at the end of the line"]);
        assert_eq!(check("a"), ["a.rs: the last line has no end"]);
    }
}
