//! A JSON line: an hclog record, or some other object.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::Value;

use crate::{Level, Timestamp};

/// What an hclog record says.
///
/// A record is a JSON object whose `@level` is a level's name and whose `@message` is a string or absent. The other
/// names of the format count only when they are what they should be; else they stay ordinary fields.
///
/// # Protocol
/// Differs: a Go host takes a record with a timestamp that it cannot read for text, and crashes when `@message`,
/// `@level` or `@timestamp` is no string.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Entry {
    /// `@level`.
    pub level: Level,
    /// `@message`; empty if absent.
    pub message: String,
    /// `@module`, the part of the plugin that speaks.
    pub module: Option<String>,
    /// `@caller`, by custom `file:line`.
    pub caller: Option<String>,
    /// `@timestamp`, when it is one.
    pub timestamp: Option<Timestamp>,
    /// All other members in the order of the line. Of a name that occurs twice both are here; the last one counts.
    pub fields: Vec<(String, Value)>,
}

impl Entry {
    /// The value of the field of this name.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&Value> {
        last(&self.fields, name)
    }

    fn from_members(members: Vec<(String, Value)>) -> Option<Self> {
        let level = Level::parse(last(&members, "@level")?.as_str()?)?;
        if last(&members, "@message").is_some_and(|message| !message.is_string()) {
            return None;
        }
        let mut entry = Self {
            level,
            message: String::new(),
            module: None,
            caller: None,
            timestamp: None,
            fields: Vec::new(),
        };
        for (name, value) in members {
            match (name.as_str(), value) {
                // Both were judged by their last occurrence; an earlier one of another type says nothing.
                ("@level", _) => {}
                ("@message", Value::String(text)) => entry.message = text,
                ("@message", _) => {}
                ("@module", Value::String(text)) => entry.module = Some(text),
                ("@caller", Value::String(text)) => entry.caller = Some(text),
                ("@timestamp", Value::String(text)) => match Timestamp::parse(&text) {
                    Some(timestamp) => entry.timestamp = Some(timestamp),
                    None => entry.fields.push((name, Value::String(text))),
                },
                (_, value) => entry.fields.push((name, value)),
            }
        }
        Some(entry)
    }
}

/// What a line is to JSON.
pub(super) enum Json {
    Record(Entry),
    /// An object that is no record, with the level that it seems to claim.
    Other(Option<Level>),
    /// No object at all.
    No,
}

/// Reads a line as JSON. Nesting beyond what `serde_json` follows makes it text.
pub(super) fn read(text: &str) -> Json {
    if !text.trim_start_matches([' ', '\t', '\r', '\n']).starts_with('{') {
        return Json::No;
    }
    let parsed = serde_json::from_str::<Members>(text).or_else(|error| match mend_surrogates(text) {
        Cow::Owned(mended) => serde_json::from_str(&mended),
        Cow::Borrowed(_) => Err(error),
    });
    let Ok(Members(members)) = parsed else { return Json::No };
    let foreign = foreign_level(&members);
    Entry::from_members(members).map_or(Json::Other(foreign), Json::Record)
}

/// The members of an object in their order.
struct Members(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}

fn last<'m>(members: &'m [(String, Value)], name: &str) -> Option<&'m Value> {
    members.iter().rev().find(|(known, _)| known == name).map(|(_, value)| value)
}

/// The level of a JSON line of slog, zap, zerolog, logrus, tracing, structlog, pino, bunyan: a level beside something
/// that can be a message.
fn foreign_level(members: &[(String, Value)]) -> Option<Level> {
    let any_of = |names: &[&str]| names.iter().find_map(|name| last(members, name));
    any_of(&["msg", "message", "event", "fields"])?;
    match any_of(&["level", "lvl", "severity", "levelname", "log.level"])? {
        Value::String(word) => super::foreign::level_word(word),
        Value::Number(number) => match number.as_u64()? {
            10 => Some(Level::Trace),
            20 => Some(Level::Debug),
            30 => Some(Level::Info),
            40 => Some(Level::Warn),
            50 | 60 => Some(Level::Error),
            _ => None,
        },
        _ => None,
    }
}

/// Replaces escapes of half a surrogate pair, which Go reads and Python's `json` writes for undecodable file names,
/// by the escape of the replacement character.
fn mend_surrogates(text: &str) -> Cow<'_, str> {
    let bytes = text.as_bytes();
    let mut mended = Vec::new();
    let (mut copied, mut at) = (0, 0);
    while at < bytes.len() {
        if bytes[at] != b'\\' {
            at += 1;
            continue;
        }
        at += match (escaped_unit(bytes, at), escaped_unit(bytes, at + 6)) {
            (Some(0xd800..=0xdbff), Some(0xdc00..=0xdfff)) => 12,
            (Some(0xd800..=0xdfff), _) => {
                mended.extend_from_slice(&bytes[copied..at]);
                mended.extend_from_slice(b"\\ufffd");
                copied = at + 6;
                6
            }
            _ => 2,
        };
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    mended.extend_from_slice(&bytes[copied..]);
    Cow::Owned(String::from_utf8_lossy(&mended).into_owned())
}

/// The number in the six bytes `\uXXXX` that begin at `at`.
fn escaped_unit(bytes: &[u8], at: usize) -> Option<u32> {
    let digits = bytes.get(at..at + 6)?.strip_prefix(b"\\u")?;
    digits.iter().try_fold(0, |unit, digit| Some(unit * 16 + char::from(*digit).to_digit(16)?))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{Entry, Json, read};
    use crate::Level;

    #[track_caller]
    fn record(line: &str) -> Entry {
        match read(line) {
            Json::Record(entry) => entry,
            Json::Other(level) => panic!("an object with level {level:?}: {line}"),
            Json::No => panic!("text: {line}"),
        }
    }

    #[track_caller]
    fn check_other(line: &str, level: Option<Level>) {
        assert!(matches!(read(line), Json::Other(found) if found == level), "{line}");
    }

    #[track_caller]
    fn check_text(line: &str) {
        assert!(matches!(read(line), Json::No), "{line}");
    }

    #[test]
    fn a_full_record() {
        let entry = record(
            r#" {"@level":" Info ","@message":"m\u00e9","@module":"demo.x","@caller":"a.go:1","@timestamp":"2026-11-20T13:19:54.029982Z","z":1,"a":{"b":[1,true,null]},"foo":"bar"} "#,
        );
        assert_eq!((entry.level, entry.message.as_str()), (Level::Info, "m\u{e9}"));
        assert_eq!((entry.module.as_deref(), entry.caller.as_deref()), (Some("demo.x"), Some("a.go:1")));
        assert_eq!(entry.timestamp.map(|moment| moment.unix_micros()), Some(1_795_180_794_029_982));
        let fields = [("z", json!(1)), ("a", json!({"b": [1, true, null]})), ("foo", json!("bar"))];
        assert_eq!(entry.fields, fields.map(|(name, value)| (name.to_owned(), value)));
    }

    #[test]
    fn strange_members_become_fields() {
        let kept = |line, name| record(line).field(name).cloned();
        assert_eq!(kept(r#"{"@level":"warn","@message":"m","@timestamp":5}"#, "@timestamp"), Some(json!(5)));
        assert_eq!(
            kept(r#"{"@level":"warn","@message":"m","@timestamp":"2026-11-20T13:19:54.029Z"}"#, "@timestamp"),
            Some(json!("2026-11-20T13:19:54.029Z"))
        );
        assert_eq!(kept(r#"{"@level":"warn","@message":"m","@module":null}"#, "@module"), Some(Value::Null));
        assert_eq!(kept(r#"{"@level":"warn","@message":"m","@caller":[]}"#, "@caller"), Some(json!([])));
    }

    #[test]
    fn the_last_of_a_name_counts() {
        let entry = record(r#"{"@level":1,"@message":2,"k":1,"@message":"m","@level":"error","k":2}"#);
        assert_eq!((entry.level, entry.message.as_str()), (Level::Error, "m"));
        assert_eq!(entry.field("k"), Some(&json!(2)));
        check_other(r#"{"@level":"error","@message":"m","@message":1}"#, None);
    }

    #[test]
    fn a_missing_message_is_empty() {
        assert_eq!(record(r#"{"@level":"error","k":1}"#).message, "");
    }

    #[test]
    fn half_surrogates_are_replaced() {
        let line = r#"{"@level":"info","@message":"\udc80 \ud83e\udd80 \ud83e\\udd80 \\ud800"}"#;
        assert_eq!(record(line).message, "\u{fffd} \u{1f980} \u{fffd}\\udd80 \\ud800");
        check_text(r#"{"@level":"info","@message":"\ud80"#);
    }

    #[test]
    fn other_objects() {
        check_other(r#"{"a":1}"#, None);
        check_other("{}", None);
        check_other(r#"{"@message":1}"#, None);
        check_other(r#"{"@message":"no level"}"#, None);
        check_other(r#"{"@level":"off","@message":"m"}"#, None);
        check_other(r#"{"@level":"loud","@message":"m"}"#, None);
        check_other(r#"{"@level":3,"@message":"m"}"#, None);
        check_other(
            r#"{"time":"2024-01-02T15:04:05Z","level":"WARN","msg":"slog","k":1}"#,
            Some(Level::Warn),
        );
        check_other(r#"{"level":"DEBUG-4","msg":"slog"}"#, Some(Level::Trace));
        check_other(r#"{"level":"dpanic","ts":1.5,"msg":"zap"}"#, Some(Level::Error));
        check_other(r#"{"severity":"NOTICE","message":"cloud"}"#, Some(Level::Info));
        check_other(r#"{"event":"structlog","level":"warning"}"#, Some(Level::Warn));
        check_other(r#"{"level":"ERROR","fields":{"message":"m"},"target":"t"}"#, Some(Level::Error));
        check_other(r#"{"level":50,"msg":"pino"}"#, Some(Level::Error));
        check_other(r#"{"level":-1,"msg":"?"}"#, None);
        check_other(r#"{"level":"error"}"#, None);
    }

    #[test]
    fn no_objects() {
        for line in ["", "null", "12345", r#"["HELLO"]"#, r#""x""#, "{", "{}}", "{\"a\":1e999}", "plain"] {
            check_text(line);
        }
        let deep = format!(
            r#"{{"@level":"info","@message":"m","k":{}1{}}}"#,
            "[".repeat(20_000),
            "]".repeat(20_000)
        );
        check_text(&deep);
        check_text(&"{\"a\":".repeat(20_000));
    }

    #[test]
    fn huge_numbers_are_floats() {
        let entry =
            record(r#"{"@level":"info","k":123456789012345678901234567890,"max":18446744073709551615}"#);
        assert_eq!(entry.field("k").and_then(Value::as_f64), Some(123_456_789_012_345_678_901_234_567_890.0));
        assert_eq!(entry.field("max"), Some(&json!(u64::MAX)));
    }
}
