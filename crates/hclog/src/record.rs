//! One record, written without a subscriber.

use std::time::SystemTime;

use serde_json::Value;

use crate::Level;
use crate::encode::{self, Head};
use crate::sink::{self, Sink};

/// A record in the making, for code that cannot go through tracing, such as a panic hook.
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
    moment: Option<SystemTime>,
    fields: Vec<(String, Value)>,
}

impl Record {
    /// A record without module, caller or fields. The message may have several lines; they travel as one record.
    #[must_use]
    pub fn new(level: Level, message: impl Into<String>) -> Self {
        Self { level, message: message.into(), module: None, caller: None, moment: None, fields: Vec::new() }
    }

    /// Sets `@module`, the part of the program that speaks; left out by default.
    #[must_use]
    pub fn with_module(mut self, module: impl Into<String>) -> Self {
        self.module = Some(module.into());
        self
    }

    /// Sets `@caller`, by custom `file:line`; left out by default.
    #[must_use]
    pub fn with_caller(mut self, caller: impl Into<String>) -> Self {
        self.caller = Some(caller.into());
        self
    }

    /// Sets `@timestamp`; the moment of writing by default. See [`Timestamp`](crate::Timestamp) for the precision and range.
    #[must_use]
    pub fn with_timestamp(mut self, moment: SystemTime) -> Self {
        self.moment = Some(moment);
        self
    }

    /// Adds a field, or replaces the one of that name. A name that the format owns (`@level`, `@message`, `@module`,
    /// `@timestamp`, `@caller`) becomes `field.level` and so on. JSON has no infinities: `serde_json` makes them null.
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

    /// The record as one line of JSON, newline included.
    #[must_use]
    pub fn to_line(&self) -> String {
        String::from_utf8(self.to_bytes()).unwrap_or_else(|error| {
            // Every part was written from a `str`, so this is only the polite form of "cannot happen".
            String::from_utf8_lossy(error.as_bytes()).into_owned()
        })
    }

    /// Passes the line to `sink`.
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
            // A `Value` always has a JSON text, and a vector always takes it.
            let _ = serde_json::to_writer(&mut members, value);
        }
        let head = Head {
            level: self.level,
            message: &message,
            module: module.as_deref(),
            moment: self.moment.unwrap_or_else(SystemTime::now),
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
    use crate::{Level, Sink};

    #[test]
    fn writes_the_line_that_go_plugins_write() {
        let record = Record::new(Level::Info, "plugin \"demo\"\nready")
            .with_module("demo.server")
            .with_caller("src/main.rs:7")
            .with_timestamp(UNIX_EPOCH + Duration::from_micros(1_795_180_794_029_982))
            .with_field("foo", "bar")
            .with_field("answer", 41)
            .with_field("nested", json!({"a": [1, true, null]}))
            .with_field("answer", 42)
            .with_field("@timestamp", 0);
        let line = concat!(
            r#"{"@level":"info","@message":"plugin \"demo\"\nready","@module":"demo.server","@caller":"src/main.rs:7","#,
            r#""@timestamp":"2026-11-20T13:19:54.029982Z","foo":"bar","answer":42,"nested":{"a":[1,true,null]},"#,
            r#""field.timestamp":0}"#,
            "\n"
        );
        assert_eq!(record.to_line(), line);
        let written = Mutex::new(Vec::new());
        record.write_to(&written);
        assert_eq!(written.into_inner().unwrap(), line.as_bytes());
    }

    #[test]
    fn any_sink_takes_it() {
        let sink: &dyn Sink = &|line: &[u8]| assert!(line.ends_with(b"\"}\n"));
        Record::new(Level::Warn, "").write_to(sink);
    }
}
