//! A plugin's log and output, line by line.

use rpcplugin::{
    LogRecord,
    hclog::{Level, Parser},
};
use serde_json::{Value, json};

use crate::out::style::{bad, dim, good, strong, warn};

/// A record in one line: time, level, module, message, fields. What has several lines, as a backtrace does, keeps them.
pub(crate) fn show_record(record: &LogRecord) -> String {
    let fields = record.fields.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    show(record.level, record.timestamp.as_deref(), record.module.as_deref(), &record.message, fields)
}

/// A line of a plugin's stderr in the same form, if it is a record.
pub(crate) fn show_line(line: &str) -> Option<String> {
    let line = Parser::new().push(format!("{line}\n").as_bytes()).next()?;
    let entry = line.entry?;
    let time = entry.timestamp.as_ref().map(|time| time.as_str());
    let fields: Vec<_> = entry.fields.iter().map(|(name, value)| (name, value.to_string())).collect();
    let fields = fields.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    Some(show(line.level, time, entry.module.as_deref(), &entry.message, fields))
}

fn show<'a>(
    level: Level,
    timestamp: Option<&str>,
    module: Option<&str>,
    message: &str,
    fields: impl Iterator<Item = (&'a str, &'a str)>,
) -> String {
    let level = match level {
        Level::Trace => dim("TRACE"),
        Level::Debug => dim("DEBUG"),
        Level::Info => good("INFO "),
        Level::Warn => warn("WARN "),
        Level::Error => bad("ERROR"),
    };
    let mut line = String::new();
    if let Some(time) = timestamp.map(time_of_day) {
        line += &format!("{} ", dim(time));
    }
    line += &level;
    if let Some(module) = module {
        line += &format!(" {}", strong(format_args!("{module}:")));
    }
    line += &format!(" {message}");
    let mut below = String::new();
    for (name, value) in fields {
        let name = dim(format_args!("{name}="));
        match several_lines(value) {
            None => line += &format!(" {name}{value}"),
            Some(value) => {
                below += &format!("\n    {name}");
                for part in value.lines() {
                    below += &format!("\n        {}", text(part.as_bytes()));
                }
            }
        }
    }
    line + &below
}

/// The text that the JSON is, if it has several lines.
fn several_lines(json: &str) -> Option<String> {
    let text = serde_json::from_str::<String>(json).ok()?;
    text.trim_end().contains('\n').then_some(text)
}

/// A record as the members that people know from hclog, without their `@`.
pub(super) fn record_as_json(record: &LogRecord) -> Value {
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
        "fields": serde_json::Map::from_iter(fields),
    })
}

/// Hours, minutes, seconds and milliseconds of a time as RFC 3339 writes it.
fn time_of_day(timestamp: &str) -> &str {
    let time = timestamp.split_once('T').map_or(timestamp, |(_, time)| time);
    let end = time.find(['Z', '+', '-']).unwrap_or(time.len());
    let milliseconds = time.find('.').map_or(end, |point| (point + 4).min(end));
    time.get(..milliseconds).unwrap_or(time)
}

/// Makes lines of pieces.
#[derive(Debug, Default)]
pub(super) struct Lines {
    open: Vec<u8>,
}

impl Lines {
    /// Takes a piece and returns the lines that it ends. A line that does not end is cut somewhere.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Vec<String> {
        self.open.extend_from_slice(bytes);
        let mut lines = Vec::new();
        let mut rest = self.open.as_slice();
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            lines.push(text(&rest[..end]));
            rest = &rest[end + 1..];
        }
        if rest.len() > LONGEST {
            lines.push(text(rest));
            rest = &[];
        }
        self.open = rest.to_vec();
        lines
    }

    /// What has not been ended.
    pub(super) fn rest(&mut self) -> Option<String> {
        let rest = std::mem::take(&mut self.open);
        (!rest.is_empty()).then(|| text(&rest))
    }
}

/// The text, without what would disturb a terminal.
fn text(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let harmless = |c: char| if c.is_control() && c != '\t' && c != '\x1b' { '\u{fffd}' } else { c };
    text.trim_end_matches('\r').chars().map(harmless).collect()
}

/// As much as is kept of a line that does not end.
const LONGEST: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_become_lines() {
        let mut lines = Lines::default();
        assert!(lines.push(b"on").is_empty());
        assert_eq!(lines.push(b"e\r\ntwo\nthr"), ["one", "two"]);
        assert_eq!(lines.rest().as_deref(), Some("thr"));
        assert_eq!(lines.rest(), None);
        assert_eq!(lines.push(&vec![b'x'; LONGEST + 1]).len(), 1);
    }

    #[test]
    fn a_backtrace_keeps_its_lines() {
        let line = r#"{"@level":"error","@message":"panicked","backtrace":"0: a\n   1: b\u0007\n","thread":"main\n"}"#;
        let shown = anstream::adapter::strip_str(&show_line(line).unwrap()).to_string();
        assert_eq!(
            shown,
            "ERROR panicked thread=\"main\\n\"\n    backtrace=\n        0: a\n           1: b\u{fffd}"
        );
    }

    #[test]
    fn the_time_of_day_is_cut_out() {
        assert_eq!(time_of_day("2026-11-20T18:35:19.725250Z"), "18:35:19.725");
        assert_eq!(time_of_day("2026-11-20T18:35:19+01:00"), "18:35:19");
        assert_eq!(time_of_day("strange"), "strange");
    }
}
