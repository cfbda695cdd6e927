//! A line of JSON: an hclog record or another object.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::Value;

use super::other_formats;
use crate::{level::Level, timestamp::Timestamp};

/// The content of an hclog record.
///
/// A record is a JSON object whose `@level` is the name of a level and whose `@message` is a string or absent. If another
/// member of the format has the wrong type, it stays an ordinary field.
///
/// # Protocol
/// Differs: a host in Go treats a record with an invalid timestamp as text. It crashes if `@message`, `@level` or
/// `@timestamp` is not a string.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ParsedRecord {
    /// `@level`.
    pub level: Level,
    /// `@message`, or an empty string if it is absent.
    pub message: String,
    /// `@module`, the name of the logger.
    pub module: Option<String>,
    /// `@caller`, usually `file:line`.
    pub caller: Option<String>,
    /// `@timestamp`, if it is valid.
    pub timestamp: Option<Timestamp>,
    /// All other members in the order of the line. If a name occurs twice, both members are here, and the last counts.
    pub fields: Vec<(String, Value)>,
}

impl ParsedRecord {
    /// Returns the value of a field.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&Value> {
        last(&self.fields, name)
    }

    fn from_members(members: Vec<(String, Value)>) -> Option<Self> {
        let level = Level::parse(last(&members, "@level")?.as_str()?)?;
        if last(&members, "@message").is_some_and(|message| !message.is_string()) {
            return None;
        }
        let mut record = Self {
            level,
            message: String::new(),
            module: None,
            caller: None,
            timestamp: None,
            fields: Vec::new(),
        };
        for (name, value) in members {
            match (name.as_str(), value) {
                // The last occurrence has been checked above. Earlier ones of another type do not count.
                ("@level", _) => {}
                ("@message", Value::String(text)) => record.message = text,
                ("@message", _) => {}
                ("@module", Value::String(text)) => record.module = Some(text),
                ("@caller", Value::String(text)) => record.caller = Some(text),
                ("@timestamp", Value::String(text)) => match Timestamp::parse(&text) {
                    Some(timestamp) => record.timestamp = Some(timestamp),
                    None => record.fields.push((name, Value::String(text))),
                },
                (_, value) => record.fields.push((name, value)),
            }
        }
        Some(record)
    }
}

/// A line as JSON.
pub(super) enum Json {
    Record(ParsedRecord),
    /// An object that is not a record, with its level.
    Other(Option<Level>),
    /// Not an object.
    No,
}

/// Reads a line as JSON. A line that is nested deeper than `serde_json` allows is text.
pub(super) fn read(text: &str) -> Json {
    if !text.trim_start_matches([' ', '\t', '\r', '\n']).starts_with('{') {
        return Json::No;
    }
    let parsed = serde_json::from_str::<Members>(text).or_else(|error| match mend_surrogates(text) {
        Cow::Owned(mended) => serde_json::from_str(&mended),
        Cow::Borrowed(_) => Err(error),
    });
    let Ok(Members(members)) = parsed else { return Json::No };
    let level = level_of_other(&members);
    ParsedRecord::from_members(members).map_or(Json::Other(level), Json::Record)
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

/// Returns the level of a JSON line of slog, zap, zerolog, logrus, tracing, structlog, pino or bunyan: an object with a
/// level and a message.
fn level_of_other(members: &[(String, Value)]) -> Option<Level> {
    let any_of = |names: &[&str]| names.iter().find_map(|name| last(members, name));
    any_of(&["msg", "message", "event", "fields"])?;
    match any_of(&["level", "lvl", "severity", "levelname", "log.level"])? {
        Value::String(word) => other_formats::level_word(word),
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

/// Replaces escapes of half a surrogate pair with the escape of the replacement character. Python's `json` writes such
/// escapes for undecodable file names, and Go reads them.
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

/// Returns the number in the six bytes `\uXXXX` that begin at `at`.
fn escaped_unit(bytes: &[u8], at: usize) -> Option<u32> {
    let digits = bytes.get(at..at + 6)?.strip_prefix(b"\\u")?;
    digits.iter().try_fold(0, |unit, digit| Some(unit * 16 + char::from(*digit).to_digit(16)?))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{Json, ParsedRecord, read};
    use crate::level::Level;

    #[track_caller]
    fn parsed(line: &str) -> ParsedRecord {
        match read(line) {
            Json::Record(record) => record,
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
    fn all_members_of_a_record_are_read() {
        let record = parsed(
            r#" {"@level":" Info ","@message":"m\u00e9","@module":"demo.x","@caller":"a.go:1","@timestamp":"2026-11-20T13:19:54.029982Z","z":1,"a":{"b":[1,true,null]},"foo":"bar"} "#,
        );
        assert_eq!((record.level, record.message.as_str()), (Level::Info, "m\u{e9}"));
        assert_eq!((record.module.as_deref(), record.caller.as_deref()), (Some("demo.x"), Some("a.go:1")));
        assert_eq!(record.timestamp.map(|timestamp| timestamp.unix_micros()), Some(1_795_180_794_029_982));
        let fields = [("z", json!(1)), ("a", json!({"b": [1, true, null]})), ("foo", json!("bar"))];
        assert_eq!(record.fields, fields.map(|(name, value)| (name.to_owned(), value)));
    }

    #[test]
    fn a_member_of_the_wrong_type_is_a_field() {
        let kept = |line, name| parsed(line).field(name).cloned();
        assert_eq!(kept(r#"{"@level":"warn","@message":"m","@timestamp":5}"#, "@timestamp"), Some(json!(5)));
        assert_eq!(
            kept(r#"{"@level":"warn","@message":"m","@timestamp":"2026-11-20T13:19:54.029Z"}"#, "@timestamp"),
            Some(json!("2026-11-20T13:19:54.029Z"))
        );
        assert_eq!(kept(r#"{"@level":"warn","@message":"m","@module":null}"#, "@module"), Some(Value::Null));
        assert_eq!(kept(r#"{"@level":"warn","@message":"m","@caller":[]}"#, "@caller"), Some(json!([])));
    }

    #[test]
    fn the_last_member_of_a_name_counts() {
        let record = parsed(r#"{"@level":1,"@message":2,"k":1,"@message":"m","@level":"error","k":2}"#);
        assert_eq!((record.level, record.message.as_str()), (Level::Error, "m"));
        assert_eq!(record.field("k"), Some(&json!(2)));
        check_other(r#"{"@level":"error","@message":"m","@message":1}"#, None);
    }

    #[test]
    fn a_missing_message_is_empty() {
        assert_eq!(parsed(r#"{"@level":"error","k":1}"#).message, "");
    }

    #[test]
    fn half_a_surrogate_pair_is_replaced() {
        let line = r#"{"@level":"info","@message":"\udc80 \ud83e\udd80 \ud83e\\udd80 \\ud800"}"#;
        assert_eq!(parsed(line).message, "\u{fffd} \u{1f980} \u{fffd}\\udd80 \\ud800");
        check_text(r#"{"@level":"info","@message":"\ud80"#);
    }

    #[test]
    fn other_objects_have_the_level_of_their_logger() {
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
        for (number, level) in [
            (10, Level::Trace),
            (20, Level::Debug),
            (30, Level::Info),
            (40, Level::Warn),
            (50, Level::Error),
            (60, Level::Error),
        ] {
            check_other(&format!(r#"{{"level":{number},"msg":"pino"}}"#), Some(level));
        }
        check_other(r#"{"level":70,"msg":"?"}"#, None);
        check_other(r#"{"level":-1,"msg":"?"}"#, None);
        check_other(r#"{"level":"error"}"#, None);
    }

    #[test]
    fn other_json_and_invalid_json_is_text() {
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
    fn a_number_beyond_64_bits_is_a_float() {
        let record =
            parsed(r#"{"@level":"info","k":123456789012345678901234567890,"max":18446744073709551615}"#);
        assert_eq!(
            record.field("k").and_then(Value::as_f64),
            Some(123_456_789_012_345_678_901_234_567_890.0)
        );
        assert_eq!(record.field("max"), Some(&json!(u64::MAX)));
    }
}
