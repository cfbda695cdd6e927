//! The levels of text from loggers other than hclog.
//!
//! Prose must not be taken for a log line. A bare level must therefore be in capitals and in a place where loggers put it.

use std::borrow::Cow;

use crate::level::Level;

/// Returns the level of a line in one of the known formats.
pub(super) fn level_of(text: &str) -> Option<Level> {
    let head = plain_head(text);
    let head = head.as_ref();
    glog(head).or_else(|| logfmt(head)).or_else(|| after_time(head)).or_else(|| leading(head))
}

/// Reads a level by any of its usual names in any case, with an offset of slog such as `DEBUG-4`.
pub(super) fn level_word(word: &str) -> Option<Level> {
    let (name, offset) = match word.find(['+', '-']) {
        Some(at) => (&word[..at], word[at..].parse::<i32>().ok()?),
        None => (word, 0),
    };
    let (_, level) = NAMES.iter().find(|(known, _)| name.eq_ignore_ascii_case(known))?;
    // The numbers of slog: four steps between levels.
    let base = match level {
        Level::Trace => -8,
        Level::Debug => -4,
        Level::Info => 0,
        Level::Warn => 4,
        Level::Error => 8,
    };
    Some(match base + i64::from(offset) {
        ..-4 => Level::Trace,
        -4..0 => Level::Debug,
        0..4 => Level::Info,
        4..8 => Level::Warn,
        8.. => Level::Error,
    })
}

/// Returns at most the first 512 bytes of the line. No rule looks further, which bounds the cost of a line.
pub(super) fn head(text: &str) -> &str {
    let end = (0..=HEAD_BYTES.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    &text[..end]
}

/// Returns the head of the line without colours.
fn plain_head(text: &str) -> Cow<'_, str> {
    let head = head(text);
    if !head.contains('\x1b') {
        return Cow::Borrowed(head);
    }
    let mut parts = head.split("\x1b[");
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        // A control sequence ends with a letter (or another byte from `@` on).
        plain.push_str(part.find(|c: char| ('@'..='~').contains(&c)).map_or("", |end| &part[end + 1..]));
    }
    Cow::Owned(plain)
}

/// glog and klog: `I0102 15:04:05.000000 …`, in newer versions with the year before the month.
fn glog(head: &str) -> Option<Level> {
    let level = match head.as_bytes().first()? {
        b'I' => Level::Info,
        b'W' => Level::Warn,
        b'E' | b'F' => Level::Error,
        _ => return None,
    };
    let (date, rest) = head[1..].split_once(' ')?;
    let is_date = matches!(date.len(), 4 | 8) && date.bytes().all(|byte| byte.is_ascii_digit());
    (is_date && is_clock(rest.trim_start())).then_some(level)
}

/// The text format of slog, logrus and others: `time=… level=INFO msg=…`, beginning with any `key=`.
fn logfmt(head: &str) -> Option<Level> {
    let (key, _) = head.split_once('=')?;
    let is_key = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    if key.is_empty() || !key.chars().all(is_key) {
        return None;
    }
    head.split_whitespace().find_map(|pair| {
        let (key, value) = pair.split_once('=')?;
        matches!(key, "level" | "lvl" | "severity").then(|| level_word(value.trim_matches('"')))?
    })
}

/// Lines that begin with a time: tracing, env_logger, Go's log and slog, hclog as text, zap, zerolog, Python, loguru.
fn after_time(head: &str) -> Option<Level> {
    let rest = without_time(head.trim_start().trim_start_matches('['))?;
    let mut rest = rest.trim_start_matches([']', '|', ' ']);
    // The usual format of Python: `time - name - LEVEL - message`.
    if let Some(parts) = rest.strip_prefix("- ") {
        return parts.split(" - ").take(3).find_map(capitals);
    }
    // Go's log can write the position in the source first.
    if let Some((_, after)) = rest.split_once(": ").filter(|(place, _)| is_go_place(place)) {
        rest = after;
    }
    let (word, decorated) = first_word(rest)?;
    if decorated { level_word(word) } else { capitals(word) }
}

/// Lines that begin with the level: `[INFO] …`, which a host in Go knows too, `INFO target: …`, `WARNING:name:…`,
/// `[INFO  target] …`.
fn leading(head: &str) -> Option<Level> {
    let (word, _) = first_word(head.trim_start())?;
    capitals(word)
}

fn capitals(word: &str) -> Option<Level> {
    let word = word.trim();
    if word.contains(|c: char| c.is_ascii_lowercase()) { None } else { level_word(word) }
}

/// Returns the first word without the brackets around it, and whether it has brackets or punctuation that prose does not
/// have.
fn first_word(text: &str) -> Option<(&str, bool)> {
    let inner = text.trim_start_matches(['[', '<', '(']);
    let end = inner.find(|c: char| c.is_whitespace() || matches!(c, ']' | '>' | ')' | ':' | '|'))?;
    let word = &inner[..end];
    (!word.is_empty()).then(|| (word, inner.len() < text.len() || inner[end..].starts_with([':', '\t', '|'])))
}

/// Returns the text after a date and time, or after a time.
fn without_time(text: &str) -> Option<&str> {
    let (token, rest) = split_token(text);
    if is_clock(token) {
        return Some(rest);
    }
    if !is_date(token) {
        return None;
    }
    match token.as_bytes().get(10) {
        Some(b'T') if token.get(11..).is_some_and(is_clock) => Some(rest),
        Some(_) => None,
        None => {
            let (clock, rest) = split_token(rest);
            is_clock(clock).then_some(rest)
        }
    }
}

/// Splits the text at white space or a closing bracket.
fn split_token(text: &str) -> (&str, &str) {
    let (token, rest) = text.split_once(|c: char| c.is_whitespace() || c == ']').unwrap_or((text, ""));
    (token, rest.trim_start_matches(' '))
}

/// Whether the text begins like `2024-01-02` or `2024/01/02`.
fn is_date(text: &str) -> bool {
    begins_like(text, b"dddd-dd-dd") || begins_like(text, b"dddd/dd/dd")
}

/// Whether the text begins like `15:04:05`.
fn is_clock(text: &str) -> bool {
    begins_like(text, b"dd:dd:dd")
}

fn begins_like(text: &str, shape: &[u8]) -> bool {
    text.len() >= shape.len()
        && text.bytes().zip(shape).all(|(byte, expected)| match expected {
            b'd' => byte.is_ascii_digit(),
            other => byte == *other,
        })
}

/// `file.go:12`, with or without a path.
fn is_go_place(text: &str) -> bool {
    text.rsplit_once(".go:")
        .is_some_and(|(_, line)| !line.is_empty() && line.bytes().all(|byte| byte.is_ascii_digit()))
}

/// The number of bytes in which a level is searched.
const HEAD_BYTES: usize = 512;

const NAMES: [(&str, Level); 24] = [
    ("trace", Level::Trace),
    ("trc", Level::Trace),
    ("debug", Level::Debug),
    ("dbg", Level::Debug),
    ("info", Level::Info),
    ("inf", Level::Info),
    ("notice", Level::Info),
    ("warn", Level::Warn),
    ("warning", Level::Warn),
    ("wrn", Level::Warn),
    ("error", Level::Error),
    ("err", Level::Error),
    ("severe", Level::Error),
    ("critical", Level::Error),
    ("crit", Level::Error),
    ("fatal", Level::Error),
    ("ftl", Level::Error),
    ("panic", Level::Error),
    ("pnc", Level::Error),
    ("dpanic", Level::Error),
    ("alert", Level::Error),
    ("emerg", Level::Error),
    ("emergency", Level::Error),
    ("exception", Level::Error),
];

#[cfg(test)]
mod tests {
    use super::level_of;
    use crate::level::Level;

    #[track_caller]
    fn check(level: Level, lines: &[&str]) {
        for line in lines {
            assert_eq!(level_of(line), Some(level), "{line:?}");
        }
    }

    #[test]
    fn levels_of_tracing_and_env_logger_are_found() {
        check(
            Level::Info,
            &[
                "2024-01-02T15:04:05.123456Z  INFO target: msg",
                "2024-01-02T15:04:05Z INFO target: msg",
                "[2024-01-02T15:04:05Z INFO  target] msg",
                "\x1b[2m2024-01-02T15:04:05.123456Z\x1b[0m \x1b[32m INFO\x1b[0m \x1b[2mtarget\x1b[0m: msg",
                "[\x1b[90m2024-01-02T15:04:05Z\x1b[0m \x1b[32mINFO \x1b[0m target\x1b[90m]\x1b[0m msg",
                " INFO target: msg",
                "INFO target: msg",
                "[INFO  target] msg",
            ],
        );
        check(Level::Trace, &["2024-01-02T15:04:05.123456Z TRACE target: msg", "TRACE target: msg"]);
    }

    #[test]
    fn levels_of_go_loggers_are_found() {
        check(
            Level::Info,
            &[
                "2024/01/02 15:04:05 INFO msg key=value",
                "2024/01/02 15:04:05 [INFO] msg",
                "2024/01/02 15:04:05.000000 main.go:12: [INFO] msg",
                "2024-01-02T15:04:05.000Z [INFO]  name: msg",
                "2024-01-02T15:04:05.000+0100 [INFO]  name: msg",
                "2024-01-02T15:04:05.000Z\tINFO\tfile.go:1\tmsg",
                "2024-01-02T15:04:05.000Z\tinfo\tmsg",
                "2024-01-02T15:04:05Z INF msg",
                "time=2024-01-02T15:04:05.000Z level=INFO msg=\"a b\"",
                "time=\"2024-01-02 15:04:05\" level=info msg=m",
                "level=info msg=m",
                "ts=1 lvl=info msg=m",
                "level=INFO+2 msg=m",
            ],
        );
        check(Level::Trace, &["level=DEBUG-4 msg=m", "level=TRACE-1 msg=m"]);
        check(Level::Error, &["level=ERROR+4 msg=m", "time=1 level=fatal msg=m"]);
        check(Level::Warn, &["time=1 level=warning msg=m"]);
    }

    #[test]
    fn levels_of_python_and_glog_are_found() {
        check(
            Level::Warn,
            &[
                "WARNING:name:msg",
                "WARNING: msg",
                "2024-01-02 15:04:05,123 - name - WARNING - msg",
                "2024-01-02 15:04:05,123 WARNING name: msg",
                "2024-01-02 15:04:05,123 [WARNING] name: msg",
                "2024-01-02 15:04:05.123 | WARNING  | mod:f:1 - msg",
                "2024-01-02 15:04:05 [warning  ] msg",
                "[2024-01-02 15:04:05] WARNING: msg",
                "15:04:05 WARN msg",
                "W0102 15:04:05.000000   12345 file.go:10] msg",
                "W20240102 15:04:05.000000   12345 file.cc:10] msg",
            ],
        );
        check(Level::Info, &["I0102 15:04:05.000000   12345 file.go:10] msg"]);
        check(Level::Error, &["CRITICAL:root:x", "F0102 15:04:05.000000 1 f.go:1] x", "E0102 15:04:05.0 x"]);
    }

    #[test]
    fn prose_and_stack_lines_have_no_level() {
        for line in [
            "",
            " ",
            "hello",
            "info about this",
            "Error: it broke",
            "error 5",
            "INFORMATION desk",
            "goroutine 1 [running]:",
            "main.main()",
            "\t/src/main.go:12 +0x1d",
            "   0: std::panicking::begin_panic",
            "note: run with `RUST_BACKTRACE=1`",
            "exit status 2",
            "set level=ERROR now",
            "key=value level=loud",
            "=level=ERROR",
            "2024-01-02 15:04:05 info about this",
            "2024-01-02 15:04:05",
            "2024-01-02",
            "2024-01-02X15:04:05 INFO x",
            "2024-01-02Tnoon INFO x",
            "2024-01-02 15:04:05 main.go:main: INFO x",
            "at 15:04:05 INFO x",
            "I0102 nothing",
            "Every 15:04:05 x",
            "W12 15:04:05 x",
            "I am",
            "\u{c9}",
            "2024-01-02\u{a0}15:04:05\u{2003}\u{a0}x",
            "[]",
            "\x1b[31",
            "[signal SIGSEGV: segmentation violation]",
        ] {
            assert_eq!(level_of(line), None, "{line:?}");
        }
    }
}
