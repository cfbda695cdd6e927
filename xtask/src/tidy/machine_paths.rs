//! No file speaks of the machine it was written on.

use super::{Subject, Text};

/// Top directories that are a private matter of whoever builds.
const PRIVATE: &[&str] = &["root", "work"];

/// Looks at every text of the repository.
pub(super) fn check(subject: &Subject) -> Vec<String> {
    subject.texts.iter().flat_map(check_text).collect()
}

fn check_text(text: &Text) -> Vec<String> {
    let mut found = Vec::new();
    for (number, line) in (1..).zip(text.content.lines()) {
        for directory in PRIVATE.iter().filter(|directory| names_directory(line, directory)) {
            found.push(format!("{}:{number}: a path below /{directory}", text.path));
        }
    }
    found
}

/// Whether the line has a path that starts at this top directory, and not one that merely passes through a
/// directory of that name.
fn names_directory(line: &str, directory: &str) -> bool {
    let prefix = format!("/{directory}/");
    line.match_indices(&prefix).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        before.is_none_or(|before| !before.is_alphanumeric() && !"_-./}".contains(before))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_from_the_top_are_found() {
        let directory = PRIVATE[0];
        for line in
            [format!("/{directory}/x"), format!("let a = \"/{directory}/x\";"), format!("at=/{directory}/x")]
        {
            assert!(names_directory(&line, directory), "{line}");
        }
        for line in [format!("a/{directory}/x"), format!("./{directory}/x"), format!("/{directory}ed/x")] {
            assert!(!names_directory(&line, directory), "{line}");
        }
    }
}
