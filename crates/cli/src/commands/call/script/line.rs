//! A line of a script: `[NAME =] SERVICE/METHOD [JSON]`.

use super::super::place::Place;
use crate::error::UsageError;

/// A call of a script.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) place: Place,
    /// The name of the response.
    pub(super) name: Option<String>,
    pub(super) method: String,
    /// The JSON of the requests, or `@FILE`. Empty for a message without fields.
    pub(super) data: String,
    /// The column in which `data` begins, counted from 1.
    pub(super) column: usize,
}

impl Line {
    /// Parses a line. Returns `None` for an empty line and for a comment.
    ///
    /// # Errors
    /// A line without a method, and an invalid name.
    pub(super) fn parse(text: &str, place: Place) -> Result<Option<Self>, UsageError> {
        let text = text.trim_start_matches('\u{feff}').trim_end();
        let call = text.trim_start();
        if call.is_empty() || call.starts_with('#') {
            return Ok(None);
        }
        let (first, rest) = word(call);
        let (name, method, data) = match rest.strip_prefix('=') {
            None => (None, first, rest),
            Some(call) => {
                check_name(first, &place)?;
                let (method, data) = word(call.trim_start());
                (Some(first.to_owned()), method, data)
            }
        };
        if method.is_empty() {
            return Err(UsageError::new(
                format!("{place} has no method"),
                "write a call as SERVICE/METHOD JSON, or as NAME = SERVICE/METHOD JSON",
            ));
        }
        let column = text[..text.len() - data.len()].chars().count() + 1;
        Ok(Some(Self { place, name, method: method.to_owned(), data: data.to_owned(), column }))
    }
}

/// Splits the first word off. A word ends before a blank, before `=`, and before JSON.
fn word(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| c.is_whitespace() || "={[\"".contains(c)).unwrap_or(text.len());
    let (word, rest) = text.split_at(end);
    (word, rest.trim_start())
}

fn check_name(name: &str, place: &Place) -> Result<(), UsageError> {
    let mut letters = name.chars();
    let starts = letters.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
    if name == "serve" {
        let message = format!("{place} has the name \"serve\", which stands for the services of --serve");
        return Err(UsageError::new(message, "use another name for the response"));
    }
    if starts && letters.all(|c| c.is_ascii_alphanumeric() || c == '_') {
        return Ok(());
    }
    Err(UsageError::new(
        format!("{place} has the invalid name {name:?}"),
        "use letters, digits and _ for the name of a response, and begin with a letter",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Option<Line>, UsageError> {
        Line::parse(text, Place { script: "kv.txt".to_owned(), line: 3 })
    }

    #[test]
    fn a_line_has_a_name_a_method_and_json() {
        for (text, name, method, data, column) in [
            ("Kv/Get", None, "Kv/Get", "", 7),
            (" Kv/Get  {\"a\": 1} {}\r", None, "Kv/Get", "{\"a\": 1} {}", 10),
            ("a=Kv/Get{}", Some("a"), "Kv/Get", "{}", 9),
            ("a_1 =  a.v1.Kv/Get @x y", Some("a_1"), "a.v1.Kv/Get", "@x y", 20),
        ] {
            let line = parse(text).unwrap().unwrap();
            assert_eq!((line.name.as_deref(), &*line.method), (name, method), "{text}");
            assert_eq!((&*line.data, line.column), (data, column), "{text}");
        }
    }

    #[test]
    fn comments_and_empty_lines_are_no_calls() {
        for text in ["", "  \r", "# Kv/Get", "  #"] {
            assert!(parse(text).unwrap().is_none(), "{text}");
        }
    }

    #[test]
    fn an_invalid_line_is_named() {
        for (text, message) in [
            ("a =", "line 3 of kv.txt has no method"),
            ("{}", "line 3 of kv.txt has no method"),
            ("a-b = Kv/Get", "line 3 of kv.txt has the invalid name \"a-b\""),
            ("= Kv/Get", "line 3 of kv.txt has the invalid name \"\""),
        ] {
            assert_eq!(parse(text).unwrap_err().to_string(), message, "{text}");
        }
    }
}
