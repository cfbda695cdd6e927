//! Which tests speak of what.

use syn::{File, ItemFn};

use super::sources::Source;

/// The tests in one file.
pub(super) struct TestFile<'s> {
    pub(super) path: &'s str,
    text: String,
}

/// All that tests anything.
pub(super) fn files(sources: &[Source]) -> Vec<TestFile<'_>> {
    sources.iter().map(|source| TestFile { path: &source.path, text: source.tests() }).collect()
}

impl TestFile<'_> {
    /// Whether the file names this code: whole, or its last part where the rest is put before it.
    pub(super) fn names(&self, code: &str) -> bool {
        let (family, case) = code.rsplit_once("::").unwrap_or_default();
        self.has_word(code)
            || (self.text.contains(&format!("{family}::{{")) && self.text.contains(&format!("\"{case}\"")))
    }

    /// Whether the file names this variant of an enum: who expects `Fault::Late` expects its code.
    pub(super) fn names_variant(&self, name: &str) -> bool {
        name.contains("::") && self.has_word(name)
    }

    fn has_word(&self, word: &str) -> bool {
        let longer = |next: char| next.is_alphanumeric() || next == '_';
        self.text.match_indices(word).any(|(at, _)| !self.text[at + word.len()..].starts_with(longer))
    }
}

/// The names of the test functions in one file.
pub(super) fn functions(source: &Source) -> Vec<String> {
    let Ok(File { items, .. }) = syn::parse_file(&source.text) else { return Vec::new() };
    let is_test = |function: &ItemFn| {
        function
            .attrs
            .iter()
            .any(|attribute| attribute.path().segments.iter().any(|part| part.ident == "test"))
    };
    items
        .into_iter()
        .filter_map(|item| match item {
            syn::Item::Fn(function) if is_test(&function) => Some(function.sig.ident.to_string()),
            _ => None,
        })
        .collect()
}
