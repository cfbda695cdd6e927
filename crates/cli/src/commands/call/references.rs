//! Values of earlier responses in the JSON of a request: `"${NAME.field[0]}"`.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use crate::error::UsageError;

/// The responses of a script that have names, as JSON.
#[derive(Debug, Default)]
pub(super) struct Responses(BTreeMap<String, String>);

/// A step from a value to a part of it.
#[derive(Debug, PartialEq, Eq)]
enum Step<'a> {
    Field(&'a str),
    Index(usize),
}

impl Responses {
    /// Gives a response a name. A later response of the same name replaces it.
    pub(super) fn insert(&mut self, name: &str, json: String) {
        self.0.insert(name.to_owned(), json);
    }

    /// Removes the response of this name, because its call was made again and failed.
    pub(super) fn remove(&mut self, name: &str) {
        self.0.remove(name);
    }

    /// Replaces the references in the strings of a JSON text. All other text stays as it is, digits and blanks too.
    ///
    /// # Errors
    /// A reference to a value that does not exist.
    pub(super) fn replaced(&self, json: &str) -> Result<String, UsageError> {
        let (mut done, mut rest) = (String::with_capacity(json.len()), json);
        while let Some(start) = rest.find('"') {
            let Some(length) = string_length(&rest[start..]) else { break };
            let (before, from) = rest.split_at(start);
            let (string, behind) = from.split_at(length);
            done += before;
            // The names of fields and the keys of maps are no values.
            let is_name = behind.trim_start().starts_with(':');
            match string.contains("${") && !is_name {
                true => done += &self.value(&string[1..length - 1])?,
                false => done += string,
            }
            rest = behind;
        }
        Ok(done + rest)
    }

    /// Returns the JSON for a string with references. `content` is the string without its quotes, escaped.
    fn value(&self, content: &str) -> Result<String, UsageError> {
        let unended = || {
            let help = r"end it with }; for the text ${ write \u0024{";
            UsageError::new(format!("the reference in \"{content}\" has no end"), help)
        };
        let (mut text, mut rest) = (String::new(), content);
        while let Some(start) = rest.find("${") {
            text += &rest[..start];
            let (reference, behind) = rest[start + 2..].split_once('}').ok_or_else(unended)?;
            let value = self.find(reference)?;
            if start == 0 && rest.len() == content.len() && behind.is_empty() {
                // The reference is the whole string.
                return Ok(value);
            }
            text += match value.strip_prefix('"').and_then(|value| value.strip_suffix('"')) {
                Some(inner) => inner,
                None if value.starts_with(['{', '[']) || value == "null" => {
                    return Err(UsageError::new(
                        format!("the value of ${{{reference}}} is not a text, a number or a boolean"),
                        format!("write \"${{{reference}}}\" without other text for the whole value"),
                    ));
                }
                None => &value,
            };
            rest = behind;
        }
        Ok(format!("\"{text}{rest}\""))
    }

    /// Returns the JSON of a value.
    fn find(&self, reference: &str) -> Result<String, UsageError> {
        let (name, steps) = steps(reference).ok_or_else(|| {
            let help =
                r"write ${NAME.field}, ${NAME.list[0].field} or ${NAME}; for the text ${ write \u0024{";
            UsageError::new(format!("${{{reference}}} is not a reference"), help)
        })?;
        let mut value = self.0.get(name).map(String::as_str).ok_or_else(|| {
            let names: Vec<&str> = self.0.keys().map(String::as_str).collect();
            let help = match names.as_slice() {
                [] => "give a response a name in an earlier line: NAME = SERVICE/METHOD JSON".to_owned(),
                names => format!("use the name of an earlier response: {}", names.join(", ")),
            };
            UsageError::new(format!("no response has the name {name:?}"), help)
        })?;
        for step in &steps {
            value = step.taken(value).map_err(|help| {
                UsageError::new(format!("${{{reference}}} has no value in the response"), help)
            })?;
        }
        Ok(value.to_owned())
    }
}

impl Step<'_> {
    /// Returns the part of a value. The error is the help.
    fn taken<'v>(&self, value: &'v str) -> Result<&'v str, String> {
        match self {
            Self::Field(name) => {
                let Ok(fields) = serde_json::from_str::<BTreeMap<String, &RawValue>>(value) else {
                    return Err(format!("leave .{name} out: the value before it has no fields"));
                };
                let found = fields.get(*name).or_else(|| fields.get(&json_name(name)));
                found.map(|value| value.get()).ok_or_else(|| match fields.is_empty() {
                    true => format!("leave .{name} out: the message before it is empty"),
                    false => {
                        let names: Vec<&str> = fields.keys().map(String::as_str).collect();
                        format!("use a field that is set: {}", names.join(", "))
                    }
                })
            }
            Self::Index(index) => {
                let Ok(values) = serde_json::from_str::<Vec<&RawValue>>(value) else {
                    return Err(format!("leave [{index}] out: the value before it is not a list"));
                };
                let count = values.len();
                let found = values.get(*index).map(|value| value.get());
                found.ok_or_else(|| format!("use an index below {count}, the length of the list"))
            }
        }
    }
}

/// Returns the name that protobuf's JSON gives a field: `broker_id` is `brokerId`.
fn json_name(field: &str) -> String {
    let mut parts = field.split('_');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |name, part| {
        let mut letters = part.chars();
        let upper = letters.next().map(|c| c.to_ascii_uppercase());
        name + &upper.into_iter().chain(letters).collect::<String>()
    })
}

/// Splits a reference into the name and the steps.
fn steps(reference: &str) -> Option<(&str, Vec<Step<'_>>)> {
    let is_word = |word: &str| !word.is_empty() && !word.contains(char::is_whitespace);
    let end = reference.find(['.', '[']).unwrap_or(reference.len());
    let (name, mut rest) = reference.split_at(end);
    let mut steps = Vec::new();
    while !rest.is_empty() {
        if let Some(field) = rest.strip_prefix('.') {
            let (field, behind) = field.split_at(field.find(['.', '[']).unwrap_or(field.len()));
            if !is_word(field) {
                return None;
            }
            steps.push(Step::Field(field));
            rest = behind;
        } else {
            let (index, behind) = rest.strip_prefix('[')?.split_once(']')?;
            steps.push(Step::Index(index.parse().ok()?));
            rest = behind;
        }
    }
    is_word(name).then_some((name, steps))
}

/// Returns the length of the JSON string at the start of a text, with its quotes. `None` if the string has no end.
fn string_length(text: &str) -> Option<usize> {
    let mut is_escaped = false;
    text.bytes().enumerate().skip(1).find_map(|(at, byte)| match byte {
        b'"' if !is_escaped => Some(at + 1),
        _ => {
            is_escaped = byte == b'\\' && !is_escaped;
            None
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn responses() -> Responses {
        let mut responses = Responses::default();
        let one = r#"{"id":"x\"y","bigNumber":12345678901234567890.10,"on":true,"none":null,"list":[{"n":1},[2]],"deep":{}}"#;
        responses.insert("one", one.to_owned());
        responses.insert("many", r#"[{"v":"7"},{"v":"8"}]"#.to_owned());
        responses
    }

    #[test]
    fn references_are_replaced_by_values() {
        for (text, replaced) in [
            (r#"{"a":"${one.id}"}"#, r#"{"a":"x\"y"}"#),
            (r#"{"a": "${one.bigNumber}" ,"b":1.50}"#, r#"{"a": 12345678901234567890.10 ,"b":1.50}"#),
            (r#"["${one.big_number}","${one.none}"]"#, r"[12345678901234567890.10,null]"),
            (r#""${one.list[0].n}" "${one.list[1][0]}""#, "1 2"),
            (r#""${one.list}""#, r#"[{"n":1},[2]]"#),
            (r#""${many[1].v}""#, r#""8""#),
            (r#""id ${one.id}, ${one.on}, ${many[0].v}.""#, r#""id x\"y, true, 7.""#),
            (r#""${many[0].v}${many[1].v}""#, r#""78""#),
            // These are no references.
            (r#"{"${one.id}" : 1}"#, r#"{"${one.id}" : 1}"#),
            (r#""\u0024{one.id} $one {x}""#, r#""\u0024{one.id} $one {x}""#),
            (r#"{"a":"\"","b":"\\"}"#, r#"{"a":"\"","b":"\\"}"#),
            (r#"{"a":"${one.id}"#, r#"{"a":"${one.id}"#),
        ] {
            assert_eq!(responses().replaced(text).unwrap(), replaced, "{text}");
        }
    }

    #[test]
    fn references_without_a_value_are_errors() {
        for (text, message, help) in [
            ("${two.id}", "no response has the name \"two\"", "earlier response: many, one"),
            ("${one.idd}", "${one.idd} has no value in the response", "a field that is set: bigNumber, deep"),
            ("${one.deep.x}", "has no value", "the message before it is empty"),
            ("${one.id.x}", "has no value", "has no fields"),
            ("${one[0]}", "has no value", "is not a list"),
            ("${many[2]}", "has no value", "an index below 2"),
            ("${one.id", "has no end", "end it with }"),
            ("a ${one.list}", "is not a text", "without other text"),
            ("${}", "is not a reference", "${NAME.field}"),
            ("${one.}", "is not a reference", "${NAME.field}"),
            ("${one[x]}", "is not a reference", "${NAME.field}"),
        ] {
            let error = responses().replaced(&format!("{{\"a\":\"{text}\"}}")).unwrap_err();
            assert!(error.to_string().contains(message), "{error}");
            let found = miette::Diagnostic::help(&error).unwrap().to_string();
            assert!(found.contains(help), "{text}: {found}");
        }
    }
}
