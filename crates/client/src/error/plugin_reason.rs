//! The plugin's own reason for its exit, found on its stderr.
//!
//! A plugin made with this library prints a [`PlainReport`](rpcplugin_core::PlainReport), whose layout is parsed
//! exactly, and so is that of `miette`. For other plugins the words of the runtimes of several languages are
//! recognised. Otherwise the last line is used.

use std::fmt;

use rpcplugin_core::disturbs;
use rpcplugin_hclog::{Level, Parser};
use serde_json::Value;

use crate::quoted::{Quoted, shortened};

/// The plugin's own reason for its exit, in its own words. The length of every text is limited.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PluginReason {
    /// The kind of the reason.
    pub kind: ReasonKind,
    /// The reason on one line, with its causes.
    pub message: String,
    /// The code of the error, if the plugin printed one in a known layout: words joined by `::`.
    pub code: Option<String>,
    /// The help in the plugin's report.
    pub help: Option<String>,
    /// Whether the line has the level of an error.
    grave: bool,
}

/// The kind of a plugin's reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ReasonKind {
    /// The plugin reported an error and exited.
    Error,
    /// The plugin panicked, or ended by an exception that was not caught.
    Panic,
    /// The last line that seems to be about a fault, or simply the last line.
    LastWords,
}

impl PluginReason {
    /// Finds the reason in the last lines of a plugin's stderr.
    pub(crate) fn find(stderr: &[String]) -> Option<Self> {
        let lines: Vec<String> = stderr.iter().map(|line| without_colours(line)).collect();
        let lines: Vec<&str> = lines.iter().map(|line| line.trim_end()).collect();
        let strong = READERS
            .iter()
            // Of two reasons at the same line, that of the earlier reader has more detail.
            .rev()
            .filter_map(|read| read(&lines))
            // A complaint that is followed by ordinary lines or another error is not the reason for the exit.
            .filter(|found| {
                let after = &lines[found.end.min(lines.len())..];
                left_over(after) <= AFTERWORDS && !after.iter().any(|line| is_grave(line))
            })
            .max_by_key(|found| found.start);
        strong.map(|found| found.reason).or_else(|| last_words(&lines)).map(Self::bounded)
    }

    /// Whether the plugin reported this as the reason for its exit.
    pub(crate) fn is_certain(&self) -> bool {
        self.kind != ReasonKind::LastWords
    }

    /// Whether the reason is that no host, or another one, launched the plugin.
    pub(crate) fn is_about_the_cookie(&self) -> bool {
        self.code.as_deref().is_some_and(|code| code.starts_with(COOKIE_CODES))
            || hints_at_cookie(&self.message)
    }

    /// Whether the words are about a fault.
    pub(crate) fn is_about_a_fault(&self) -> bool {
        self.is_certain() || self.grave
    }

    fn new(kind: ReasonKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), code: None, help: None, grave: false }
    }

    fn bounded(self) -> Self {
        let help = self.help.filter(|help| !help.is_empty());
        Self {
            kind: self.kind,
            message: shortened(in_one_line(&self.message).trim(), MESSAGE),
            code: self.code,
            grave: self.grave,
            help: help.map(|help| shortened(help.trim(), HELP)),
        }
    }
}

/// Writes the kind of the reason, and the reason quoted on one line with control characters escaped.
impl fmt::Display for PluginReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verb = match self.kind {
            ReasonKind::Error => "it says",
            ReasonKind::Panic => "it panicked",
            ReasonKind::LastWords => "it last wrote",
        };
        write!(f, "{verb}: {}", Quoted(&self.message, MESSAGE))
    }
}

/// Whether a line is a refusal to run without a host, in the words of rpcplugin, go-plugin, pyvider and others.
pub(crate) fn hints_at_cookie(line: &str) -> bool {
    let line = line.to_lowercase();
    let says_any = |words: &[&str]| words.iter().any(|words| line.contains(words));
    says_any(&["magic cookie", "magic_cookie"])
        || line.contains("plugin")
            && says_any(&[
                "this program is a plugin",
                "this binary is a plugin",
                "is a plugin and",
                "is a plugin, and",
                "executed directly",
                "execute directly",
                "run directly",
                "started directly",
                "start directly",
                "launched directly",
                "invoked directly",
                "called directly",
                "started by hand",
                "run by hand",
                "run standalone",
                "must be started by",
                "must be launched by",
                "has to be started by",
            ])
}

/// A reason, and the range of its lines.
struct Found {
    start: usize,
    end: usize,
    reason: PluginReason,
}

type Read = fn(&[&str]) -> Option<Found>;

const READERS: &[Read] = &[
    explained,
    miette_drawn,
    miette_narrated,
    returned,
    rust_panic,
    record_of_panic,
    go_panic,
    traceback,
    exception,
];

/// Reads a [`PlainReport`](rpcplugin_core::PlainReport): a line, and indented under it causes, faults, help and code.
fn explained(lines: &[&str]) -> Option<Found> {
    let at = lines.iter().rposition(|line| line.strip_prefix("  code: ").is_some_and(is_code))?;
    let start = lines[..at].iter().rposition(|line| !line.starts_with("  ") && !line.trim().is_empty())?;
    let mut message = without_error(lines[start]).to_owned();
    let mut help = None::<String>;
    let mut faults = Vec::new();
    for line in &lines[start + 1..at] {
        let line = line.strip_prefix("  ").unwrap_or(line);
        if let Some(cause) = line.strip_prefix("because ") {
            message += &format!(": {cause}");
        } else if let Some(text) = line.strip_prefix("help: ") {
            help = Some(text.to_owned());
        } else if let Some(help) = &mut help {
            *help += &format!("\n{}", line.trim());
        } else if let Some(fault) = line.strip_prefix("- ") {
            faults.push(fault);
        }
    }
    if !faults.is_empty() {
        message += &format!(": {}", faults.join("; "));
    }
    let code = lines[at].strip_prefix("  code: ").map(str::to_owned);
    // The evidence of a plugin that is a host itself stands behind its code.
    let end = at + 1 + lines[at + 1..].iter().take_while(|line| line.starts_with("  ")).count();
    Some(Found {
        start,
        end,
        reason: PluginReason { help, code, ..PluginReason::new(ReasonKind::Error, message) },
    })
}

/// Reads the graphical report of `miette`: the code, `× message`, `├─▶ cause`, and `help: ` at the end.
fn miette_drawn(lines: &[&str]) -> Option<Found> {
    let drawn = |line: &str| {
        let rest = without_error(line).trim_start();
        rest.strip_prefix("× ").or_else(|| rest.strip_prefix("x ")).map(str::to_owned)
    };
    let at = lines
        .iter()
        .rposition(|line| drawn(line).is_some() && (line.starts_with("  ") || line.starts_with("Error: ")))?;
    let mut message = drawn(lines[at])?;
    let before = lines[..at].iter().rposition(|line| !line.trim().is_empty());
    let code = before
        .map(|at| (at, without_error(lines[at]).split(' ').next().unwrap_or_default()))
        .filter(|(_, code)| is_code(code));
    let mut help = None::<String>;
    let mut end = at + 1;
    for line in &lines[at + 1..] {
        let text = line.trim_start();
        if let Some(cause) = text.strip_prefix("├─▶ ").or_else(|| text.strip_prefix("╰─▶ ")) {
            message += &format!(": {cause}");
        } else if let Some(more) = text.strip_prefix("│ ").filter(|_| help.is_none()) {
            // A source's lines are drawn with numbers before the bar.
            message += &format!(" {}", more.trim());
        } else if let Some(text) = text.strip_prefix("help: ") {
            help = Some(text.to_owned());
        } else if let Some(help) = help.as_mut().filter(|_| line.starts_with("        ")) {
            *help += &format!(" {text}");
        } else if !line.is_empty() && !line.starts_with(' ') {
            break;
        }
        end += 1;
    }
    let start = code.map_or(at, |(at, _)| at);
    let code = code.map(|(_, code)| code.to_owned());
    Some(Found {
        start,
        end,
        reason: PluginReason { code, help, ..PluginReason::new(ReasonKind::Error, message) },
    })
}

/// Reads the report of `miette` for screen readers.
fn miette_narrated(lines: &[&str]) -> Option<Found> {
    const SEVERITY: &str = "Diagnostic severity: ";
    let at = lines.iter().rposition(|line| line.trim_start().starts_with(SEVERITY))?;
    let start = lines[..at].iter().rposition(|line| !line.trim().is_empty())?;
    let mut message = without_error(lines[start]).trim().to_owned();
    let (mut help, mut code, mut end) = (None, None, at + 1);
    for (n, line) in lines.iter().enumerate().skip(at + 1) {
        let text = line.trim_start();
        if let Some(cause) = text.strip_prefix("Caused by: ") {
            message += &format!(": {cause}");
        } else if let Some(text) = text.strip_prefix("diagnostic help: ") {
            help = Some(text.to_owned());
        } else if let Some(text) = text.strip_prefix("diagnostic code: ") {
            code = Some(text.to_owned()).filter(|code| is_code(code));
        } else {
            continue;
        }
        end = n + 1;
    }
    Some(Found {
        start,
        end,
        reason: PluginReason { code, help, ..PluginReason::new(ReasonKind::Error, message) },
    })
}

/// Reads an error that Rust's `main` returned, with the causes of `anyhow`, and errors of command lines in many
/// languages.
fn returned(lines: &[&str]) -> Option<Found> {
    let starts = |line: &&str| {
        ["Error: ", "error: ", "fatal: ", "FATAL: "]
            .iter()
            .any(|word| line.len() > word.len() && line.starts_with(word))
    };
    let start = lines.iter().rposition(starts)?;
    let (mut message, mut end) = (without_error(lines[start]).to_owned(), start + 1);
    let mut rest = lines[start + 1..].iter().skip_while(|line| line.is_empty());
    if rest.next().is_some_and(|line| *line == "Caused by:") {
        for line in rest.take_while(|line| line.starts_with("    ")) {
            let cause = line.trim_start();
            let numbered =
                cause.split_once(": ").filter(|(number, _)| number.chars().all(|c| c.is_ascii_digit()));
            message += &format!(": {}", numbered.map_or(cause, |(_, cause)| cause));
        }
        end = lines.len();
    } else {
        // What follows an error of a command line is how to call it, and of an interpreter where it happened.
        end += lines[end..].iter().take_while(|line| is_detail(line)).count();
    }
    Some(Found { start, end, reason: PluginReason::new(ReasonKind::Error, message) })
}

/// Reads the report of Rust's own panic hook.
fn rust_panic(lines: &[&str]) -> Option<Found> {
    let opens = |line: &&str| line.trim_start().starts_with("thread '") && line.contains(" panicked at ");
    let main = lines.iter().rposition(|line| opens(line) && line.contains("thread 'main'"));
    let start = main.or_else(|| lines.iter().rposition(&opens))?;
    let (_, place) = lines[start].split_once(" panicked at ")?;
    let mut end = start + 1;
    let message = if let Some(place) = place.strip_suffix(':') {
        let text: Vec<&str> = lines[end..]
            .iter()
            .take(5)
            .take_while(|line| {
                !line.is_empty()
                    && !line.starts_with("note: ")
                    && !line.starts_with("stack backtrace:")
                    && !opens(line)
            })
            .copied()
            .collect();
        end += text.len();
        format!("{} ({place})", text.join(" "))
    } else {
        // Before Rust 1.73: 'message', src/main.rs:5:9
        match place.rsplit_once("', ") {
            Some((message, place)) => format!("{} ({place})", message.trim_start_matches('\'')),
            None => place.to_owned(),
        }
    };
    end += lines[end..].iter().take_while(|line| is_trace_of_rust(line)).count();
    Some(Found { start, end, reason: PluginReason::new(ReasonKind::Panic, message) })
}

/// Reads the log record of a panic in a plugin made with this library.
fn record_of_panic(lines: &[&str]) -> Option<Found> {
    let read = |line: &str| {
        let message = member(line, &["@message"])?;
        let place = member(line, &["location"]).map(|place| format!(" ({place})"));
        Some(format!("{}{}", message.strip_prefix("panic: ")?, place.unwrap_or_default()))
    };
    let start = lines.iter().rposition(|line| read(line).is_some())?;
    let message = read(lines[start])?;
    Some(Found { start, end: start + 1, reason: PluginReason::new(ReasonKind::Panic, message) })
}

/// Reads the report of Go's runtime: the panic, and the goroutines with their frames.
fn go_panic(lines: &[&str]) -> Option<Found> {
    let opened = |line: &&str| {
        let line: &str = line;
        line.strip_prefix("panic: ").or_else(|| line.strip_prefix("fatal error: ")).map(str::to_owned)
    };
    let start = lines.iter().rposition(|line| opened(line).is_some())?;
    let mut message = opened(&lines[start])?;
    for line in lines[start + 1..].iter().take(5).take_while(|line| {
        !line.is_empty() && !line.starts_with("goroutine ") && !line.starts_with("[signal ")
    }) {
        message += &format!(" {}", line.trim());
    }
    let is_trace = |line: &&str| {
        ["goroutine ", "\t", "created by ", "exit status "].iter().any(|word| line.starts_with(word))
    };
    let end = lines.iter().rposition(is_trace).map_or(start + 1, |at| at + 1).max(start + 1);
    Some(Found { start, end, reason: PluginReason::new(ReasonKind::Panic, message) })
}

/// Reads a traceback of Python. The line after the frames, which is not indented, names the exception.
fn traceback(lines: &[&str]) -> Option<Found> {
    let start = lines.iter().rposition(|line| line.trim_start() == "Traceback (most recent call last):")?;
    let named =
        lines[start + 1..].iter().position(|line| !line.is_empty() && !line.starts_with([' ', '\t']))?;
    let at = start + 1 + named;
    Some(Found { start, end: at + 1, reason: PluginReason::new(ReasonKind::Panic, lines[at]) })
}

/// Reads an exception that was not caught, as other runtimes print it.
fn exception(lines: &[&str]) -> Option<Found> {
    fn named(line: &str) -> Option<String> {
        if let Some((_, thrown)) =
            line.strip_prefix("Exception in thread ").and_then(|line| line.split_once("\" "))
        {
            return Some(thrown.to_owned());
        }
        // The name may be qualified: `java.io.IOException: …`, `TypeError: …`, `Uncaught Error: …`.
        let line = line
            .strip_prefix("Uncaught ")
            .or_else(|| line.strip_prefix("Unhandled exception. "))
            .unwrap_or(line);
        let (name, _) = line.split_once(": ")?;
        let plain = name.chars().all(|c| c.is_alphanumeric() || matches!(c, '.' | '_' | ':'));
        let upper = name.rsplit(['.', ':']).next().is_some_and(|name| name.starts_with(char::is_uppercase));
        (plain && upper && name != "Error" && (name.ends_with("Error") || name.ends_with("Exception")))
            .then(|| line.to_owned())
    }
    let start = lines.iter().rposition(|line| {
        named(line).is_some() || line.starts_with("terminate called after throwing an instance of ")
    })?;
    let mut message = named(lines[start]).unwrap_or_else(|| lines[start].to_owned());
    let mut end = start + 1;
    if let Some(what) = lines.get(end).and_then(|line| line.trim_start().strip_prefix("what():")) {
        message += &format!(": {}", what.trim());
        end += 1;
    }
    end += lines[end..].iter().take_while(|line| is_detail(line)).count();
    Some(Found { start, end, reason: PluginReason::new(ReasonKind::Panic, message) })
}

/// The last line with the level of an error, or simply the last line.
fn last_words(lines: &[&str]) -> Option<PluginReason> {
    let said: Vec<&&str> = lines.iter().filter(|line| is_said(line)).collect();
    let recent = &said[said.len().saturating_sub(RECENT)..];
    let grave = recent.iter().rev().find(|line| is_grave(line));
    let line = grave.or_else(|| recent.last())?;
    Some(PluginReason { grave: grave.is_some(), ..PluginReason::new(ReasonKind::LastWords, words_of(line)) })
}

/// The text of a line: the message and the error of a record, or the line itself.
fn words_of(line: &str) -> String {
    let Some(message) = member(line, &["@message", "message", "msg", "event"]) else {
        return without_clock(line).to_owned();
    };
    match member(line, &["error", "err", "exception"]) {
        Some(error) if !message.contains(&error) => format!("{message}: {error}"),
        _ => message,
    }
}

/// Whether the log parser gives the line the level of an error.
fn is_grave(line: &str) -> bool {
    let mut parser = Parser::new();
    let first = parser.push(line.as_bytes()).next();
    // A line without a line break is the last line of its stream.
    let level = first.or_else(|| parser.finish()).map(|line| line.level);
    // The parser reads a record that was cut off as text.
    level == Some(Level::Error) || line.starts_with(r#"{"@level":"error","#)
}

/// A member of a JSON object, as text. A line of the tail may be cut off: members before the cut are found.
fn member(line: &str, names: &[&str]) -> Option<String> {
    if !line.starts_with('{') {
        return None;
    }
    let whole = serde_json::from_str::<serde_json::Map<String, Value>>(line).ok();
    names.iter().find_map(|name| match &whole {
        Some(members) => match members.get(*name)? {
            Value::String(text) => Some(text.clone()),
            Value::Null => None,
            other => Some(other.to_string()),
        },
        None => {
            let key = format!("\"{name}\":");
            let value = &line[line.find(&key)? + key.len()..];
            serde_json::Deserializer::from_str(value).into_iter::<String>().next()?.ok()
        }
    })
}

/// Removes the date and time of Go's `log`.
fn without_clock(line: &str) -> &str {
    let is_date = |word: &str| word.len() == 10 && word.split('/').count() == 3;
    let is_time = |word: &str| word.len() >= 8 && word.split(':').count() == 3;
    let mut words = line.splitn(3, ' ');
    match (words.next(), words.next(), words.next()) {
        (Some(date), Some(time), Some(rest)) if is_date(date) && is_time(time) => rest,
        _ => line,
    }
}

/// Replaces line breaks and characters that disturb a terminal. JSON can have both.
fn in_one_line(text: &str) -> String {
    let shown = |c| match c {
        '\n' | '\r' | '\t' => ' ',
        c if disturbs(c) => char::REPLACEMENT_CHARACTER,
        c => c,
    };
    text.chars().map(shown).collect()
}

/// Removes the word that Rust prints before an error of `main`.
fn without_error(line: &str) -> &str {
    line.strip_prefix("Error: ").or_else(|| line.strip_prefix("error: ")).unwrap_or(line)
}

/// Whether this is an error code: at least two words joined by `::`.
fn is_code(text: &str) -> bool {
    let word = |word: &str| {
        !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
    };
    text.len() <= 100 && text.contains("::") && text.split("::").all(word)
}

fn is_trace_of_rust(line: &str) -> bool {
    line.is_empty()
        || line.starts_with("note: ")
        || line.starts_with("stack backtrace:")
        || line.starts_with("  ")
}

/// Whether a line adds to the line with the fault.
fn is_detail(line: &str) -> bool {
    let line_start = line.trim_start();
    line.is_empty()
        || line.starts_with([' ', '\t'])
        || ["Usage:", "usage:", "For more information", "note: ", "Node.js v", "Caused by:"]
            .iter()
            .any(|word| line_start.starts_with(word))
}

/// Whether a line has content, and is not only the exit status of a program that the plugin ran.
fn is_said(line: &str) -> bool {
    let line = line.trim();
    !line.is_empty() && !line.starts_with("exit status ")
}

/// Counts the lines after a reason that do not belong to it.
fn left_over(lines: &[&str]) -> usize {
    lines.iter().filter(|line| is_said(line)).count()
}

/// Removes colour sequences, whose first character the tail has replaced.
fn without_colours(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(at) = rest.find("\u{fffd}[") {
        let sequence = &rest[at + '\u{fffd}'.len_utf8() + 1..];
        let length = sequence.find(|c: char| !(c.is_ascii_digit() || c == ';')).unwrap_or(sequence.len());
        match sequence[length..].chars().next() {
            Some('m' | 'K') => {
                out.push_str(&rest[..at]);
                rest = &sequence[length + 1..];
            }
            _ => {
                let kept = at + '\u{fffd}'.len_utf8() + 1;
                out.push_str(&rest[..kept]);
                rest = &rest[kept..];
            }
        }
    }
    out.push_str(rest);
    out
}

/// The codes of a refused or missing magic cookie.
const COOKIE_CODES: &str = "rpcplugin::handshake::cookie";

/// The limit of a reason on one line, in characters.
const MESSAGE: usize = 400;

const HELP: usize = 1000;

/// The number of last lines among which the reason is looked for.
const RECENT: usize = 10;

/// The number of lines that may follow the reason: those of a shell, of `go run` or of a core dump.
const AFTERWORDS: usize = 5;

#[cfg(test)]
mod tests;
