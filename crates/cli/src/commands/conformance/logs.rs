//! Log records: the lines of JSON on stderr.

use serde_json::{Map, Value};

use super::check::{Check, GRACE, Verdict, check, fail, served_plain};
use crate::raw_host::{PluginUnderTest, shut_down};

pub(super) const CHECKS: &[Check] = &[
    check!(
        "log-members",
        Must,
        members,
        "In a line of JSON on stderr, `@level`, `@message` and `@timestamp` are strings: a Go host crashes on another type.",
        "Write the three members as JSON strings, also if the application logs a field with such a name.",
    ),
    check!(
        "log-timestamp",
        Should,
        timestamp,
        "`@timestamp` has six digits after the second, and `Z` or an offset: a Go host takes a record with another form for text.",
        "Write the time as 2006-01-02T15:04:05.000000Z, or with an offset such as +01:00 in place of Z.",
    ),
];

async fn members(plugin: &PluginUnderTest) -> Verdict {
    let records = records(plugin).await?;
    let members = records.iter().flat_map(|record| MEMBERS.map(|name| (name, record.get(name))));
    for (name, value) in members {
        if let Some(kind) = value.and_then(other_kind) {
            return fail(format!("`{name}` is {kind}"));
        }
    }
    Ok(counted(&records))
}

async fn timestamp(plugin: &PluginUnderTest) -> Verdict {
    let records = records(plugin).await?;
    let mut times = records.iter().filter_map(|record| record.get("@timestamp")?.as_str());
    match times.find(|time| !is_hclog_time(time)) {
        Some(other) => fail(format!("`@timestamp` is {:?}", other.chars().take(60).collect::<String>())),
        None => Ok(counted(&records)),
    }
}

/// Returns the JSON objects that a plugin prints on stderr from its start to its exit.
async fn records(plugin: &PluginUnderTest) -> Verdict<Vec<Map<String, Value>>> {
    let served = served_plain(plugin).await?;
    served.still_serves("its start").await?;
    let _ = shut_down(served.channel().await?).await;
    let mut process = served.process;
    process.exit_within(GRACE).await;
    process.all_printed().await;
    Ok(process.stderr().lines().filter_map(|line| serde_json::from_str(line).ok()).collect())
}

fn counted(records: &[Map<String, Value>]) -> String {
    match records.len() {
        0 => "no line of JSON on stderr".to_owned(),
        1 => "one line of JSON on stderr".to_owned(),
        many => format!("{many} lines of JSON on stderr"),
    }
}

/// Returns the type of a value that is not a string.
fn other_kind(value: &Value) -> Option<&'static str> {
    match value {
        Value::String(_) => None,
        Value::Null => Some("null"),
        Value::Bool(_) => Some("a boolean"),
        Value::Number(_) => Some("a number"),
        Value::Array(_) => Some("an array"),
        Value::Object(_) => Some("an object"),
    }
}

/// Whether a text has the form that Go hosts parse, `2006-01-02T15:04:05.000000Z07:00` in Go's notation.
fn is_hclog_time(text: &str) -> bool {
    let has_form = |text: &str, form: &str| {
        text.len() == form.len()
            && text.bytes().zip(form.bytes()).all(|(byte, form)| match form {
                b'0' => byte.is_ascii_digit(),
                b'+' => matches!(byte, b'+' | b'-'),
                other => byte == other,
            })
    };
    let forms = ["0000-00-00T00:00:00.000000Z", "0000-00-00T00:00:00.000000+00:00"];
    forms.iter().any(|form| has_form(text, form))
}

/// The members that Go hosts take for strings without a look.
const MEMBERS: [&str; 3] = ["@level", "@message", "@timestamp"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_form_of_hclog_is_its_time() {
        for time in ["2026-11-20T14:00:58.387917Z", "2026-11-20T14:00:58.387917-01:30"] {
            assert!(is_hclog_time(time), "{time}");
        }
        for other in [
            "",
            "2026-11-20T14:00:58Z",
            "2026-11-20T14:00:58.387Z",
            "2026-11-20T14:00:58.387917000Z",
            "2026-11-20T14:00:58.387917",
            "2026-11-20T14:00:58.387917+0100",
            "2026-11-20 14:00:58.387917Z",
            "２026-11-20T14:00:58.38791Z",
        ] {
            assert!(!is_hclog_time(other), "{other}");
        }
    }
}
