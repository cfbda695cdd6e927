//! A single record, written without a subscriber.

use std::time::SystemTime;

use serde_json::Value;

use crate::encode::{self, Head};
use crate::level::Level;
use crate::sink::{self, Sink};

/// A record to write, for code that cannot use tracing, such as a panic hook.
///
/// ```
/// use rpcplugin_hclog::{Level, Record};
///
/// let record = Record::new(Level::Error, "panic: out of cheese").with_module("plugin").with_field("thread", "main");
/// assert!(record.to_line().starts_with(r#"{"@level":"error","@message":"panic: out of cheese","@module":"plugin","#));
/// ```
#[derive(Clone, Debug)]
pub struct Record {
    level: Level,
    message: String,
    module: Option<String>,
    caller: Option<String>,
    time: Option<SystemTime>,
    fields: Vec<(String, Value)>,
}

impl Record {
    /// Makes a record without module, caller or fields. A message of several lines is one record.
    #[must_use]
    pub fn new(level: Level, message: impl Into<String>) -> Self {
        Self { level, message: message.into(), module: None, caller: None, time: None, fields: Vec::new() }
    }

    /// Sets `@module`, the name of the logger. Default: no member.
    #[must_use]
    pub fn with_module(mut self, module: impl Into<String>) -> Self {
        self.module = Some(module.into());
        self
    }

    /// Sets `@caller`, usually `file:line`. Default: no member.
    #[must_use]
    pub fn with_caller(mut self, caller: impl Into<String>) -> Self {
        self.caller = Some(caller.into());
        self
    }

    /// Sets `@timestamp`. Default: the time of writing. See [`Timestamp`](crate::Timestamp) for the precision and range.
    #[must_use]
    pub fn with_timestamp(mut self, time: SystemTime) -> Self {
        self.time = Some(time);
        self
    }

    /// Adds a field, or replaces the field of this name. A name of the format (`@level`, `@message`, `@module`,
    /// `@timestamp`, `@caller`) becomes `field.level` and so on. Infinities become null, because JSON has none.
    #[must_use]
    pub fn with_field(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        let (name, value) = (name.into(), value.into());
        let name = encode::field_name(&name).to_owned();
        match self.fields.iter_mut().find(|(known, _)| *known == name) {
            Some((_, known)) => *known = value,
            None => self.fields.push((name, value)),
        }
        self
    }

    /// Returns the record as one line of JSON with its newline.
    #[must_use]
    pub fn to_line(&self) -> String {
        String::from_utf8(self.to_bytes()).unwrap_or_else(|error| {
            // Every part was written from a `str`, so this does not happen.
            String::from_utf8_lossy(error.as_bytes()).into_owned()
        })
    }

    /// Writes the line to `sink`.
    pub fn write_to<K: Sink + ?Sized>(&self, sink: &K) {
        sink::deliver(sink, &self.to_bytes());
    }

    fn to_bytes(&self) -> Vec<u8> {
        let escaped = |text: &String| {
            let mut out = Vec::with_capacity(text.len());
            encode::push_escaped(&mut out, text);
            out
        };
        let message = escaped(&self.message);
        let module = self.module.as_ref().map(escaped);
        let caller = self.caller.as_ref().map(escaped);
        let mut members = Vec::new();
        for (name, value) in &self.fields {
            encode::push_name(&mut members, name);
            // Neither a `Value` nor a vector makes this fail.
            let _ = serde_json::to_writer(&mut members, value);
        }
        let head = Head {
            level: self.level,
            message: &message,
            module: module.as_deref(),
            time: self.time.unwrap_or_else(SystemTime::now),
            caller: caller.as_deref(),
        };
        let mut line = Vec::with_capacity(128 + message.len() + members.len());
        encode::push_line(&mut line, &head, &members);
        line
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::time::{Duration, UNIX_EPOCH};

    use serde_json::json;

    use super::Record;
    use crate::{level::Level, sink::Sink};

    #[test]
    fn the_line_is_the_one_that_go_writes() {
        let record = Record::new(Level::Info, "plugin \"demo\"\nready")
            .with_module("demo.server")
            .with_caller("src/main.rs:7")
            .with_timestamp(UNIX_EPOCH + Duration::from_micros(1_795_180_794_029_982))
            .with_field("foo", "bar")
            .with_field("answer", 41)
            .with_field("nested", json!({"a": [1, true, null]}))
            .with_field("answer", 42)
            .with_field("@timestamp", 0)
            .with_field("@level", 1)
            .with_field("@message", 2)
            .with_field("@module", 3)
            .with_field("@caller", 4)
            .with_field("field.level", 5);
        let line = concat!(
            r#"{"@level":"info","@message":"plugin \"demo\"\nready","@module":"demo.server","@caller":"src/main.rs:7","#,
            r#""@timestamp":"2026-11-20T13:19:54.029982Z","foo":"bar","answer":42,"nested":{"a":[1,true,null]},"#,
            r#""field.timestamp":0,"field.level":5,"field.message":2,"field.module":3,"field.caller":4}"#,
            "\n"
        );
        assert_eq!(record.to_line(), line);
        let written = Mutex::new(Vec::new());
        record.write_to(&written);
        assert_eq!(written.into_inner().unwrap(), line.as_bytes());
    }

    #[test]
    fn a_record_can_be_written_to_any_sink() {
        let sink: &dyn Sink = &|line: &[u8]| assert!(line.ends_with(b"\"}\n"));
        Record::new(Level::Warn, "").write_to(sink);
    }
}
