//! Code in the documentation is compiled code: each block names its file, and stands in it.
//!
//! A block of code in a README or in `docs/` has a comment right above it: `<!-- from PATH -->` for an excerpt of a file
//! of this repository, or `<!-- file PATH -->` on a page that `cargo xtask guide` follows, where the page itself is the
//! source. An excerpt may be indented less than its source, and a line that says `// …` stands for lines left out. The
//! documentation at the top of a Rust file is a source too, because its examples are tests.
//!
//! The README of a crate has the crate's line for a manifest, which [`manifests`](super::manifests) looks at.

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
                    Some(file)
                        if !is_excerpt(code, &file.content)
                            && !is_excerpt(code, &documentation(&file.content)) =>
                    {
                        found.push(format!("{place}: the block does not stand in {source}"));
                    }
                    Some(_) => {}
                }
                continue;
            }
            let followed = comment.starts_with("file ") && guide::PAGES.contains(&page.path.as_str());
            let is_manifest = language == "toml" && page.path.starts_with("crates/");
            let language = language.split(',').next().unwrap_or_default();
            if LANGUAGES.contains(&language) && !followed && !is_manifest {
                found.push(format!("{place}: a {language} block without the file that it is from"));
            }
        }
    }
    found
}

fn is_page(path: &str) -> bool {
    let of_crate = path.strip_prefix("crates/").and_then(|path| path.split_once('/'));
    path == "README.md"
        || (path.starts_with("docs/") && path.ends_with(".md"))
        || of_crate.is_some_and(|(_, file)| file == "README.md")
}

/// The documentation at the top of a Rust file, without the marks of the comment.
fn documentation(source: &str) -> String {
    let lines = source.lines().map_while(|line| line.strip_prefix("//!"));
    lines.map(|line| format!("{}\n", line.strip_prefix(' ').unwrap_or(line))).collect()
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
    use super::{documentation, is_excerpt, is_page};

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
    #[test]
    fn documentation_of_a_file_is_a_source() {
        let source = "//! A crate.\n//!\n//! ```\n//! if two {\n//!     three();\n//! }\n//! ```\n\n//! not at the top\n";
        let docs = documentation(source);
        assert!(is_excerpt("if two {\n    three();\n}\n", &docs), "{docs}");
        assert!(!docs.contains("not at the top"), "{docs}");
    }

    #[test]
    fn the_readme_of_a_crate_is_a_page() {
        assert!(is_page("README.md") && is_page("docs/guide/README.md") && is_page("crates/core/README.md"));
        assert!(!is_page("crates/cli/templates/README.md") && !is_page("tests/interop/README.md"));
    }
}
