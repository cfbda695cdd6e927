//! Log records of a plugin, as text and as JSON.

use rpcplugin::{
    hclog::{Level, Parser},
    host::LogRecord,
};
use serde_json::{Map, Value, json};

use super::backtrace::own_frames;
use super::style::{bad, dim, good, on_one_line, strong, warn, without_colours};

/// Formats a log record as a line: time, level, module, message, fields. Fields with several lines follow below. A backtrace has the
/// frames of the plugin's own code, or all frames if `full`.
pub(crate) fn show_record(record: &LogRecord, full: bool) -> String {
    let fields = record.fields.iter().map(|(name, json)| (name.clone(), json.clone()));
    show(
        Entry {
            level: record.level,
            timestamp: record.timestamp.clone(),
            module: record.module.clone(),
            message: record.message.clone(),
            fields: fields.collect(),
        },
        full,
    )
}

/// Formats a line of a plugin's stderr in the same way. Returns `None` if it is not a log record.
pub(crate) fn show_line(line: &str, full: bool) -> Option<String> {
    let line = Parser::new().push(format!("{line}\n").as_bytes()).next()?;
    let Some(entry) = &line.record else {
        // Records of other loggers are in the message.
        let message = line.text().into_owned();
        return Entry { message, ..Entry::of(line.level) }.read().ok().map(|entry| show(entry, full));
    };
    let fields = entry.fields.iter().map(|(name, value)| (name.to_owned(), value.to_string()));
    let entry = Entry {
        level: line.level,
        timestamp: entry.timestamp.as_ref().map(|time| time.as_str().to_owned()),
        module: entry.module.clone(),
        message: entry.message.clone(),
        fields: fields.collect(),
    };
    Some(show(entry, full))
}

/// The shown parts of a log record. The values of fields are JSON.
struct Entry {
    level: Level,
    timestamp: Option<String>,
    module: Option<String>,
    message: String,
    fields: Vec<(String, String)>,
}

impl Entry {
    fn of(level: Level) -> Self {
        Self { level, timestamp: None, module: None, message: String::new(), fields: Vec::new() }
    }

    /// Splits a message that is the JSON of another logger into its parts. Returns other messages unchanged as `Err`.
    fn read(mut self) -> Result<Self, Self> {
        let is_object = self.fields.is_empty() && self.message.trim_start().starts_with('{');
        let Some(mut members) =
            is_object.then(|| serde_json::from_str::<Map<String, Value>>(self.message.trim()).ok()).flatten()
        else {
            return Err(self);
        };
        // tracing nests its fields, including the message.
        if members.get("fields").is_some_and(Value::is_object)
            && let Some(Value::Object(own)) = members.remove("fields")
        {
            members.extend(own);
        }
        let mut take = |names: &[&str]| {
            let name = names.iter().find(|name| members.get(**name).is_some_and(Value::is_string))?;
            members.remove(*name)?.as_str().map(str::to_owned)
        };
        let Some(message) = take(&["msg", "message", "event"]) else { return Err(self) };
        self.message = message;
        self.module = self.module.or_else(|| take(&["logger", "target", "module", "name"]));
        self.timestamp = self.timestamp.or_else(|| take(&["time", "timestamp", "ts", "asctime"]));
        // The level is printed already.
        take(&["level", "severity", "levelname"]);
        self.fields = members.into_iter().map(|(name, value)| (name, value.to_string())).collect();
        Ok(self)
    }
}

fn show(entry: Entry, full: bool) -> String {
    let Entry { level, timestamp, module, message, fields } = entry.read().unwrap_or_else(|entry| entry);
    let level = match level {
        Level::Trace => dim("TRACE"),
        Level::Debug => dim("DEBUG"),
        Level::Info => good("INFO "),
        Level::Warn => warn("WARN "),
        Level::Error => bad("ERROR"),
    };
    let mut line = String::new();
    if let Some(time) = timestamp.as_deref().map(time_of_day) {
        line += &format!("{} ", dim(on_one_line(time)));
    }
    line += &level;
    if let Some(module) = module {
        line += &format!(" {}", strong(format_args!("{}:", on_one_line(&module))));
    }
    let message = without_colours(message.trim_end());
    let message = if full { message } else { own_frames(&message) };
    // The indentation keeps a line of the message from looking like a record.
    line += &format!(" {}", message.replace('\n', "\n    "));
    let mut below = String::new();
    for (name, value) in fields {
        let name = dim(format_args!("{}=", on_one_line(&name)));
        match several_lines(&value) {
            None => line += &format!(" {name}{value}"),
            Some(value) => {
                let value = without_colours(&value);
                let value = if full { value } else { own_frames(&value) };
                below += &format!("\n    {name}");
                for part in value.lines() {
                    below += &format!("\n        {part}");
                }
            }
        }
    }
    line + &below
}

/// Returns a JSON string's text if it has several lines.
fn several_lines(json: &str) -> Option<String> {
    let text = serde_json::from_str::<String>(json).ok()?;
    text.trim_end().contains('\n').then_some(text)
}

/// Returns a log record as JSON, with hclog's member names without the `@`.
pub(crate) fn record_as_json(record: &LogRecord) -> Value {
    let fields = record.fields.iter().map(|(name, value)| {
        (name.clone(), serde_json::from_str(value).unwrap_or_else(|_| Value::String(value.clone())))
    });
    json!({
        "kind": "log",
        "level": record.level.to_string(),
        "module": record.module,
        "message": record.message,
        "timestamp": record.timestamp,
        "caller": record.caller,
        "panic": record.is_panic,
        "fields": Map::from_iter(fields),
    })
}

/// Returns the time of day, with milliseconds, of an RFC 3339 timestamp.
fn time_of_day(timestamp: &str) -> &str {
    let time = timestamp.split_once('T').map_or(timestamp, |(_, time)| time);
    let end = time.find(['Z', '+', '-']).unwrap_or(time.len());
    let milliseconds = time.find('.').map_or(end, |point| (point + 4).min(end));
    time.get(..milliseconds).unwrap_or(time)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::style::plain;

    fn shown(line: &str) -> Option<String> {
        show_line(line, false).map(|shown| plain(&shown))
    }

    #[test]
    fn a_backtrace_keeps_its_lines() {
        let line = r#"{"@level":"error","@message":"panicked","backtrace":"0: a\n   1: b\u0007\n","thread":"main\n"}"#;
        assert_eq!(
            shown(line).unwrap(),
            "ERROR panicked thread=\"main\\n\"\n    backtrace=\n        0: a\n           1: b\u{7}"
        );
    }

    #[test]
    fn records_of_other_loggers_have_fields_too() {
        for (line, expected) in [
            (
                r#"{"level":"info","ts":"2026-11-20T18:35:19.725250Z","logger":"kv","msg":"opened","path":"/tmp","n":3}"#,
                "18:35:19.725 INFO  kv: opened n=3 path=\"/tmp\"",
            ),
            (
                r#"{"timestamp":"2026-11-20T18:35:19Z","level":"WARN","fields":{"message":"full","left":1},"target":"kv::disk"}"#,
                "18:35:19 WARN  kv::disk: full left=1",
            ),
            (r#"{"level":"error","msg":"a\nINFO b"}"#, "ERROR a\n    INFO b"),
        ] {
            assert_eq!(shown(line).as_deref(), Some(expected), "{line}");
        }
        for other in ["plain", "{\"a\":1}", "[1]", "{\"msg\":1}", "{"] {
            assert_eq!(shown(other), None, "{other}");
        }
    }

    #[test]
    fn no_part_of_a_record_looks_like_another_record() {
        let line = r#"{"@level":"info","@message":"\u001b[31ma\u001b[0m\nERROR b","@module":"m\nERROR c","x\nERROR d":1}"#;
        assert_eq!(shown(line).unwrap(), "INFO  m\\nERROR c: a\n    ERROR b x\\nERROR d=1");
    }

    #[test]
    fn the_time_of_day_is_cut_out() {
        assert_eq!(time_of_day("2026-11-20T18:35:19.725250Z"), "18:35:19.725");
        assert_eq!(time_of_day("2026-11-20T18:35:19+01:00"), "18:35:19");
        assert_eq!(time_of_day("unknown"), "unknown");
    }
}
