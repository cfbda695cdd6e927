//! The Rust sources of the workspace, each split into shipped code and tests.

use syn::{Attribute, File, Item};

use crate::texts::Text;

/// One Rust file.
pub(super) struct Source {
    /// Relative to the workspace, with forward slashes.
    pub(super) path: String,
    pub(super) text: String,
}

/// Every Rust file of the crates, the tests and the tools.
pub(super) fn of(texts: &[Text]) -> Vec<Source> {
    let is_rust = |text: &&Text| {
        text.path.ends_with(".rs")
            && ["crates/", "tests/", "xtask/src/"].iter().any(|directory| text.path.starts_with(directory))
    };
    let source = |text: &Text| Source { path: text.path.clone(), text: text.content.clone() };
    texts.iter().filter(is_rust).map(source).collect()
}

impl Source {
    /// Whether the file is part of a library that users build.
    pub(super) fn is_shipped(&self) -> bool {
        self.path.starts_with("crates/") && self.path.contains("/src/") && !self.is_test()
    }

    /// Whether the whole file is tests or examples.
    pub(super) fn is_test(&self) -> bool {
        let of_crate = ["/tests/", "/examples/"].iter().any(|part| self.path.contains(part));
        of_crate || self.path.starts_with("tests/tests/") || self.path.ends_with("/tests.rs")
    }

    /// The tests in the file: all of a test, or the test module and the examples in the documentation.
    pub(super) fn tests(&self) -> TestFile<'_> {
        let path = &*self.path;
        if self.is_test() {
            return TestFile { path, text: self.text.clone() };
        }
        let (shipped, tests) = self.text.split_once("#[cfg(test)]").unwrap_or((&self.text, ""));
        let in_docs = |line: &&str| line.trim_start().starts_with("//");
        let docs: Vec<&str> = shipped.lines().filter(in_docs).collect();
        TestFile { path, text: format!("{}\n{tests}", docs.join("\n")) }
    }

    /// The names of the test functions at the top of the file.
    pub(super) fn test_functions(&self) -> Vec<String> {
        let Ok(File { items, .. }) = syn::parse_file(&self.text) else { return Vec::new() };
        let is_test =
            |attribute: &Attribute| attribute.path().segments.iter().any(|part| part.ident == "test");
        let name = |item| match item {
            Item::Fn(function) if function.attrs.iter().any(is_test) => Some(function.sig.ident.to_string()),
            _ => None,
        };
        items.into_iter().filter_map(name).collect()
    }
}

/// The tests in one file.
pub(super) struct TestFile<'s> {
    pub(super) path: &'s str,
    text: String,
}

impl TestFile<'_> {
    /// Whether the file names this code: whole, or its last part where a macro adds the rest.
    pub(super) fn names(&self, code: &str) -> bool {
        let (family, case) = code.rsplit_once("::").unwrap_or_default();
        self.has_word(code)
            || (self.text.contains(&format!("{family}::{{")) && self.text.contains(&format!("\"{case}\"")))
    }

    /// Whether the file names this variant of an enum. A test that expects `Fault::Late` expects its code.
    pub(super) fn names_variant(&self, name: &str) -> bool {
        name.contains("::") && self.has_word(name)
    }

    fn has_word(&self, word: &str) -> bool {
        let longer = |next: char| next.is_alphanumeric() || next == '_';
        self.text.match_indices(word).any(|(at, _)| !self.text[at + word.len()..].starts_with(longer))
    }
}
