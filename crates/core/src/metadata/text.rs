//! The text of one value of the metadata: its length and its characters.
//!
//! The functions are `const`, because [`plugin_metadata!`](crate::plugin_metadata) uses them when a program is compiled.

/// The largest length of a name in bytes.
pub(super) const NAME: usize = 128;
/// The largest length of a version in bytes.
pub(super) const VERSION: usize = 128;
/// The largest length of a capability in bytes.
pub(super) const CAPABILITY: usize = 128;
/// The largest length of the key of a build fact in bytes.
pub(super) const BUILD_KEY: usize = 64;
/// The largest length of the value of a build fact in bytes.
pub(super) const BUILD_VALUE: usize = 256;
/// The largest number of capabilities, and that of build facts.
pub(super) const ENTRIES: usize = 64;

/// Whether the text has neither a control character nor `<`, with which the first and the last line of a block begin.
pub(super) const fn is_plain(text: &str) -> bool {
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let is_control = match bytes[at] {
            byte if byte.is_ascii_control() => true,
            // The second part of Latin-1's control characters has two bytes in UTF-8, of which this is the first.
            0xc2 => bytes[at + 1] < 0xa0,
            byte => byte == b'<',
        };
        if is_control {
            return false;
        }
        at += 1;
    }
    true
}

/// Whether the text has this byte.
pub(super) const fn has(text: &str, wanted: u8) -> bool {
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at] == wanted {
            return true;
        }
        at += 1;
    }
    false
}

/// Whether the text is a semantic version whose numbers have at most 19 digits. `Version::parse` accepts every such text.
pub(super) const fn is_version(text: &str) -> bool {
    let bytes = text.as_bytes();
    let mut at = 0;
    let mut number = 0;
    while number < 3 {
        let end = end_of_digits(bytes, at);
        let is_number = end > at && end - at <= DIGITS && (bytes[at] != b'0' || end - at == 1);
        if !is_number || (number < 2 && (end == bytes.len() || bytes[end] != b'.')) {
            return false;
        }
        at = if number < 2 { end + 1 } else { end };
        number += 1;
    }
    if at < bytes.len() && bytes[at] == b'-' {
        match identifiers(bytes, at + 1, false) {
            Some(end) => at = end,
            None => return false,
        }
    }
    if at < bytes.len() && bytes[at] == b'+' {
        match identifiers(bytes, at + 1, true) {
            Some(end) => at = end,
            None => return false,
        }
    }
    at == bytes.len()
}

/// The end of identifiers with dots between them. `None` if one is empty, or is a number with a needless 0 before it.
const fn identifiers(bytes: &[u8], from: usize, zeros: bool) -> Option<usize> {
    let mut at = from;
    loop {
        let mut end = at;
        while end < bytes.len() && (bytes[end].is_ascii_alphanumeric() || bytes[end] == b'-') {
            end += 1;
        }
        let is_number = end_of_digits(bytes, at) == end;
        if end == at || (!zeros && is_number && bytes[at] == b'0' && end - at > 1) {
            return None;
        }
        if end == bytes.len() || bytes[end] != b'.' {
            return Some(end);
        }
        at = end + 1;
    }
}

const fn end_of_digits(bytes: &[u8], from: usize) -> usize {
    let mut at = from;
    while at < bytes.len() && bytes[at].is_ascii_digit() {
        at += 1;
    }
    at
}

/// The largest number of digits with which every number fits into 64 bits.
const DIGITS: usize = 19;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use semver::Version;

    use super::*;

    #[test]
    fn versions_are_those_of_semantic_versioning() {
        for text in
            ["1.2.3", "0.0.0", "1.0.0-0.a.10", "1.0.0-a--b+001.x", "1.0.0+-", "9999999999999999999.0.0"]
        {
            assert!(is_version(text) && Version::parse(text).is_ok(), "{text}");
        }
        for text in [
            "",
            "1",
            "1.2",
            "1.2.3.4",
            "01.2.3",
            "1.2.3-",
            "1.2.3-01",
            "1.2.3-a..b",
            "1.2.3+",
            "v1.2.3",
            "1.2.3 ",
            ".2.3",
            "1..3",
            "1-2.3",
            "99999999999999999999.0.0",
        ] {
            assert!(!is_version(text) && Version::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn control_characters_of_ascii_and_latin_1_are_not_plain() {
        for (text, plain) in [
            ("", true),
            (" ~", true),
            ("\u{a0}", true),
            ("é\u{c2}", true),
            ("a<", false),
            ("a\u{1f}", false),
            ("\u{7f}", false),
            ("a\u{80}", false),
            ("\u{9f}", false),
        ] {
            assert_eq!(is_plain(text), plain, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn versions_are_recognised_as_semver_parses_them(text in "[0-9]{1,2}\\.[0-9]{1,2}\\.[0-9]{0,2}[-+.a0-9]{0,8}") {
            prop_assert_eq!(is_version(&text), Version::parse(&text).is_ok());
        }

        #[test]
        fn any_text_is_judged_and_valid_versions_can_be_parsed(text in "[0-9.+<a-]{0,30}|\\PC{0,8}") {
            prop_assert!(!is_version(&text) || Version::parse(&text).is_ok());
        }

        #[test]
        fn plain_text_has_no_control_characters(text in "[a-z\u{0}-\u{20}\u{7e}-\u{a1}<ä]{0,6}") {
            prop_assert_eq!(is_plain(&text), !text.contains(|c: char| c.is_control() || c == '<'));
        }
    }
}
