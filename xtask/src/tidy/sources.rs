//! What no Rust source has: `mod.rs`, unfinished code, tests that do not run.

use super::{Subject, Text};

/// Looks at every `.rs` file.
pub(super) fn check(subject: &Subject) -> Vec<String> {
    subject.texts.iter().filter(|text| text.path.ends_with(".rs")).flat_map(check_source).collect()
}

fn check_source(source: &Text) -> Vec<String> {
    let mut found = Vec::new();
    if source.path.ends_with("/mod.rs") {
        found.push(format!("{}: a module `foo` is `foo.rs`, beside the directory `foo`", source.path));
    }
    let unwanted = unwanted();
    for (number, line) in (1..).zip(source.content.lines()) {
        for word in unwanted.iter().filter(|word| line.contains(word.as_str())) {
            found.push(format!("{}:{number}: `{word}` is not for finished code", source.path));
        }
    }
    found
}

/// Put together here, so that this file does not accuse itself.
fn unwanted() -> [String; 3] {
    [["todo", "!("].concat(), ["unimplemented", "!("].concat(), ["#[", "ignore"].concat()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn found(path: &str, content: String) -> usize {
        check_source(&Text { path: path.to_owned(), content }).len()
    }

    #[test]
    fn unfinished_code_is_found() {
        for word in unwanted() {
            assert_eq!(found("crates/a/src/b.rs", format!("fn a() {{}}\n{word}\n")), 1, "{word}");
        }
        assert_eq!(found("crates/a/src/b.rs", "fn a() {}\n".to_owned()), 0);
    }

    #[test]
    fn mod_rs_is_found() {
        assert_eq!(found("crates/a/src/b/mod.rs", String::new()), 1);
        assert_eq!(found("crates/a/src/b/amod.rs", String::new()), 0);
    }
}
