//! The JSON text of a record: its head, its names and its strings.

use std::fmt;
use std::time::SystemTime;

use crate::{level::Level, timestamp};

/// The first members of a record. `message`, `module` and `caller` are escaped, without the quotes of their JSON strings.
pub(crate) struct Head<'a> {
    pub(crate) level: Level,
    pub(crate) message: &'a [u8],
    pub(crate) module: Option<&'a [u8]>,
    pub(crate) time: SystemTime,
    pub(crate) caller: Option<&'a [u8]>,
}

/// Appends one line: the head, the members (each begun by [`push_name`]) and a newline.
pub(crate) fn push_line(out: &mut Vec<u8>, head: &Head<'_>, members: &[u8]) {
    out.extend_from_slice(b"{\"@level\":\"");
    out.extend_from_slice(head.level.as_str().as_bytes());
    out.extend_from_slice(b"\",\"@message\":\"");
    out.extend_from_slice(head.message);
    if let Some(module) = head.module {
        out.extend_from_slice(b"\",\"@module\":\"");
        out.extend_from_slice(module);
    }
    if let Some(caller) = head.caller {
        out.extend_from_slice(b"\",\"@caller\":\"");
        out.extend_from_slice(caller);
    }
    out.extend_from_slice(b"\",\"@timestamp\":\"");
    timestamp::write(out, head.time);
    out.push(b'"');
    out.extend_from_slice(members);
    out.extend_from_slice(b"}\n");
}

/// Appends a comma, the name of a field and a colon.
pub(crate) fn push_name(out: &mut Vec<u8>, name: &str) {
    out.push(b',');
    push_string(out, name);
    out.push(b':');
}

/// Appends a JSON string with its quotes.
pub(crate) fn push_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    push_escaped(out, text);
    out.push(b'"');
}

/// Appends the text of a JSON string without the quotes.
pub(crate) fn push_escaped(out: &mut Vec<u8>, text: &str) {
    let bytes = text.as_bytes();
    let mut plain = 0;
    for (at, &byte) in bytes.iter().enumerate() {
        let short = match byte {
            b'"' | b'\\' => byte,
            b'\n' => b'n',
            b'\r' => b'r',
            b'\t' => b't',
            0x00..=0x1f => b'u',
            _ => continue,
        };
        out.extend_from_slice(&bytes[plain..at]);
        out.extend_from_slice(&[b'\\', short]);
        if short == b'u' {
            let digit = |value: u8| if value < 10 { b'0' + value } else { b'a' + value - 10 };
            out.extend_from_slice(&[b'0', b'0', digit(byte >> 4), digit(byte & 0xf)]);
        }
        plain = at + 1;
    }
    out.extend_from_slice(&bytes[plain..]);
}

/// Returns the name under which a field is written. A field with one of the five names of the format gets the prefix
/// `field.` instead of `@`.
///
/// A number under `@message`, `@level` or `@timestamp` would crash a host in Go, whose type assertion is unchecked.
pub(crate) fn field_name(name: &str) -> &str {
    match name {
        "@level" => "field.level",
        "@message" => "field.message",
        "@module" => "field.module",
        "@timestamp" => "field.timestamp",
        "@caller" => "field.caller",
        other => other,
    }
}

/// Escapes the text that is formatted into it, and counts the bytes before escaping.
pub(crate) struct Escape<'a> {
    pub(crate) out: &'a mut Vec<u8>,
    pub(crate) count: usize,
}

impl fmt::Write for Escape<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        push_escaped(self.out, text);
        self.count += text.len();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::push_string;

    fn string(text: &str) -> String {
        let mut out = Vec::new();
        push_string(&mut out, text);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn quotes_and_control_characters_are_escaped() {
        for (text, json) in [
            (r#"a"b\c"#, r#""a\"b\\c""#),
            ("\n\r\t", r#""\n\r\t""#),
            ("\0\u{9}\u{19}\u{1a}", r#""\u0000\t\u0019\u001a""#),
            ("\u{1b}[1m \u{1f}", r#""\u001b[1m \u001f""#),
            ("\u{7f}\u{e9}\u{2028}", "\"\u{7f}\u{e9}\u{2028}\""),
        ] {
            assert_eq!(string(text), json);
        }
    }

    proptest! {
        // `any::<String>()` has no control characters.
        #[test]
        fn a_string_is_read_as_it_was_written(text in "(\\PC|[\0-\x1f\"\\\\]){0,40}") {
            let json = string(&text);
            prop_assert!(!json.contains('\n'));
            prop_assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
        }
    }
}
