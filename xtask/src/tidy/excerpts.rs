//! Code in the documentation is compiled code: each block names its file, and stands in it.
//!
//! A block of code in the README or in `docs/` has a comment right above it: `<!-- from PATH -->` for an excerpt of a file
//! of this repository, or `<!-- file PATH -->` on a page that `cargo xtask guide` follows, where the page itself is the
//! source. An excerpt may be indented less than its source, and a line that says `// …` stands for lines left out.

use super::Subject;
use crate::guide;
use crate::markdown::{Block, blocks};

/// Languages of code. Text, sessions and settings of other programs are not code.
const LANGUAGES: &[&str] = &["rust", "go", "python", "proto", "toml"];

/// Looks at every block of code of every page.
pub(super) fn check(subject: &Subject) -> Vec<String> {
    let mut found = Vec::new();
    for page in subject.texts.iter().filter(|text| is_page(&text.path)) {
        for block in blocks(&page.content) {
            let Block { language, code, line, comment } = block;
            let place = format!("{}:{line}", page.path);
            if let Some(source) = comment.strip_prefix("from ") {
                match subject.texts.iter().find(|file| file.path == source) {
                    None => found.push(format!("{place}: there is no {source}")),
                    Some(file) if !is_excerpt(code, &file.content) => {
                        found.push(format!("{place}: the block does not stand in {source}"));
                    }
                    Some(_) => {}
                }
                continue;
            }
            let followed = comment.starts_with("file ") && guide::PAGES.contains(&page.path.as_str());
            let language = language.split(',').next().unwrap_or_default();
            if LANGUAGES.contains(&language) && !followed {
                found.push(format!("{place}: a {language} block without the file that it is from"));
            }
        }
    }
    found
}

fn is_page(path: &str) -> bool {
    path == "README.md" || (path.starts_with("docs/") && path.ends_with(".md"))
}

/// Whether these lines stand in the source, in this order and with the same indentation.
fn is_excerpt(code: &str, source: &str) -> bool {
    let source: Vec<_> = source.lines().collect();
    let lines: Vec<_> = code.lines().collect();
    let mut from = 0;
    for piece in lines.split(|line| matches!(line.trim(), "// …" | "# …")) {
        let Some(at) = (from..source.len()).find(|at| stands_at(piece, &source[*at..])) else { return false };
        from = at + piece.len();
    }
    true
}

fn stands_at(piece: &[&str], source: &[&str]) -> bool {
    let Some(first) = piece.first() else { return true };
    let Some(indent) = source[0].strip_suffix(first) else { return false };
    indent.trim().is_empty()
        && piece.len() <= source.len()
        && piece.iter().zip(source).all(|(line, there)| {
            if line.is_empty() { there.is_empty() } else { there.strip_prefix(indent) == Some(*line) }
        })
}

#[cfg(test)]
mod tests {
    use super::is_excerpt;

    const SOURCE: &str = "fn a() {\n    one();\n    if two {\n        three();\n    }\n\n    four();\n}\n";

    #[track_caller]
    fn check(code: &str, expected: bool) {
        assert_eq!(is_excerpt(code, SOURCE), expected, "{code:?}");
    }

    #[test]
    fn an_excerpt_stands_in_its_source() {
        check("    one();\n    if two {\n", true);
        check("one();\nif two {\n    three();\n}\n\nfour();\n", true);
        check("one();\n// …\nfour();\n", true);
        check("four();\n// …\none();\n", false);
        check("one();\nif two {\nthree();\n", false);
        check("one();\nfour();\n", false);
        check("five();\n", false);
        check("four();\n}\n}\n", false);
    }
}
