//! JSON text as a tree, without loss: numbers keep their digits, objects keep order and duplicates of their members, and each value
//! has its position.

use std::borrow::Cow;

use super::{fault::Fault, number};

/// A value and its byte offset.
#[derive(Debug)]
pub(super) struct Json<'a> {
    pub(super) at: usize,
    pub(super) value: Value<'a>,
}

#[derive(Debug)]
pub(super) enum Value<'a> {
    Null,
    Bool(bool),
    Number(&'a str),
    Text(Cow<'a, str>),
    List(Vec<Json<'a>>),
    Object(Vec<Member<'a>>),
}

/// A member of an object.
#[derive(Debug)]
pub(super) struct Member<'a> {
    pub(super) at: usize,
    pub(super) name: Cow<'a, str>,
    pub(super) json: Json<'a>,
}

/// Parses a text with one value. Lists and objects nest at most `depth` deep.
pub(super) fn parse(text: &[u8], depth: usize) -> Result<Json<'_>, Fault> {
    let mut parser = Parser { text, at: 0 };
    let json = parser.value(depth)?;
    match parser.peek() {
        None => Ok(json),
        Some(_) => Err(parser.unexpected("the end")),
    }
}

impl Json<'_> {
    /// Converts to `serde_json`. Numbers are rounded to 64 bits.
    pub(super) fn to_value(&self) -> serde_json::Value {
        match &self.value {
            Value::Null => serde_json::Value::Null,
            Value::Bool(value) => (*value).into(),
            Value::Number(digits) => match (digits.parse::<i64>(), digits.parse::<f64>()) {
                (Ok(whole), _) => whole.into(),
                (Err(_), number) => number.unwrap_or(f64::NAN).into(),
            },
            Value::Text(text) => (**text).into(),
            Value::List(items) => items.iter().map(Self::to_value).collect(),
            Value::Object(members) => {
                members.iter().map(|member| (member.name.to_string(), member.json.to_value())).collect()
            }
        }
    }

    /// Returns a short form of the value for error texts.
    pub(super) fn shown(&self) -> String {
        match &self.value {
            Value::Null => "null".to_owned(),
            Value::Bool(value) => value.to_string(),
            Value::Number(text) => shortened(text),
            Value::Text(text) => format!("{:?}", shortened(text)),
            Value::List(_) => "a list".to_owned(),
            Value::Object(_) => "an object".to_owned(),
        }
    }
}

struct Parser<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Parser<'a> {
    /// Returns the next byte that is not white space.
    fn peek(&mut self) -> Option<u8> {
        let rest = &self.text[self.at..];
        self.at += rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n')).count();
        self.text.get(self.at).copied()
    }

    fn value(&mut self, depth: usize) -> Result<Json<'a>, Fault> {
        let next = self.peek();
        let at = self.at;
        let value = match next {
            Some(b'{') => self.object(depth)?,
            Some(b'[') => self.list(depth)?,
            Some(b'"') => Value::Text(self.string()?),
            _ => self.scalar()?,
        };
        Ok(Json { at, value })
    }

    fn scalar(&mut self) -> Result<Value<'a>, Fault> {
        let rest = &self.text[self.at..];
        let words = [("null", Value::Null), ("true", Value::Bool(true)), ("false", Value::Bool(false))];
        let word = words.into_iter().find(|(word, _)| rest.starts_with(word.as_bytes()));
        let (value, length) = match word {
            Some((word, value)) => (value, word.len()),
            None => match number::length(rest).map(|length| (str::from_utf8(&rest[..length]), length)) {
                Some((Ok(digits), length)) => (Value::Number(digits), length),
                _ => return Err(self.no_value()),
            },
        };
        // `nullx` and `01` are errors, not two values.
        match rest.get(length) {
            Some(b'-' | b'+' | b'.' | b'_' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z') => Err(self.no_value()),
            _ => {
                self.at += length;
                Ok(value)
            }
        }
    }

    fn list(&mut self, depth: usize) -> Result<Value<'a>, Fault> {
        let depth = depth.checked_sub(1).ok_or_else(|| Fault::too_deep(Some(self.at)))?;
        self.at += 1;
        let mut items = Vec::new();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(Value::List(items));
        }
        loop {
            items.push(self.value(depth)?);
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => break,
                _ => return Err(self.unexpected("`,` or `]`")),
            }
        }
        self.at += 1;
        Ok(Value::List(items))
    }

    fn object(&mut self, depth: usize) -> Result<Value<'a>, Fault> {
        let depth = depth.checked_sub(1).ok_or_else(|| Fault::too_deep(Some(self.at)))?;
        self.at += 1;
        let mut members = Vec::new();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(Value::Object(members));
        }
        loop {
            if self.peek() != Some(b'"') {
                return Err(self.unexpected("a name in quotes"));
            }
            let at = self.at;
            let name = self.string()?;
            if self.peek() != Some(b':') {
                return Err(self.unexpected("`:`"));
            }
            self.at += 1;
            members.push(Member { at, name, json: self.value(depth)? });
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => break,
                _ => return Err(self.unexpected("`,` or `}`")),
            }
        }
        self.at += 1;
        Ok(Value::Object(members))
    }

    /// Parses a string, from its first quote.
    fn string(&mut self) -> Result<Cow<'a, str>, Fault> {
        self.at += 1;
        let mut text = Cow::Borrowed("");
        loop {
            let rest = &self.text[self.at..];
            let plain = rest.iter().take_while(|byte| !matches!(byte, b'"' | b'\\' | 0..=0x1f)).count();
            let piece = str::from_utf8(&rest[..plain])
                .map_err(|error| Fault::syntax(self.at + error.valid_up_to(), "a string is not UTF-8"))?;
            if text.is_empty() {
                text = Cow::Borrowed(piece);
            } else {
                text.to_mut().push_str(piece);
            }
            self.at += plain;
            match rest.get(plain) {
                Some(b'"') => break,
                Some(b'\\') => {
                    let escaped = self.escaped()?;
                    text.to_mut().push(escaped);
                }
                Some(_) => {
                    return Err(Fault::syntax(self.at, "a control character in a string must be escaped"));
                }
                None => return Err(Fault::syntax(self.at, "a string has no end")),
            }
        }
        self.at += 1;
        Ok(text)
    }

    /// Parses an escape.
    fn escaped(&mut self) -> Result<char, Fault> {
        let at = self.at;
        let wrong = || Fault::syntax(at, "a string has an invalid escape");
        let character = match self.text.get(self.at + 1) {
            Some(b'u') => {
                let Some(first) = self.unit(self.at) else { return Err(wrong()) };
                let (units, length) = match first {
                    0xd800..=0xdbff => ([Some(first), self.unit(self.at + 6)], 12),
                    _ => ([Some(first), None], 6),
                };
                let Some(Ok(character)) = char::decode_utf16(units.into_iter().flatten()).next() else {
                    return Err(Fault::syntax(
                        self.at,
                        "a string has an unpaired surrogate: `\\ud800` to `\\udfff` come in pairs",
                    ));
                };
                self.at += length;
                return Ok(character);
            }
            Some(plain @ (b'"' | b'\\' | b'/')) => char::from(*plain),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            _ => return Err(wrong()),
        };
        self.at += 2;
        Ok(character)
    }

    /// Parses the four digits after `\u`.
    fn unit(&self, at: usize) -> Option<u16> {
        let digits = self.text.get(at..at + 6)?.strip_prefix(b"\\u")?;
        digits.iter().try_fold(0, |unit, digit| {
            Some(unit * 16 + u16::try_from(char::from(*digit).to_digit(16)?).ok()?)
        })
    }

    /// Returns the fault of an unknown word.
    fn no_value(&self) -> Fault {
        let is_of_word = |byte: &&u8| byte.is_ascii_alphanumeric() || b"-+._".contains(byte);
        let word: String = self.text[self.at..]
            .iter()
            .take_while(is_of_word)
            .take(SHOWN)
            .map(|byte| char::from(*byte))
            .collect();
        match word.as_str() {
            "" => self.unexpected("a value"),
            word => Fault::syntax(self.at, format!("`{word}` is not a value")),
        }
    }

    fn unexpected(&self, expected: &str) -> Fault {
        let rest = &self.text[self.at..];
        // A character has at most four bytes.
        match String::from_utf8_lossy(&rest[..rest.len().min(4)]).chars().next() {
            None => Fault::syntax(self.at, format!("expected {expected}, found the end of the text")),
            Some(found) => Fault::syntax(self.at, format!("expected {expected}, found {found:?}")),
        }
    }
}

/// Shortens a text for an error text.
fn shortened(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// The maximum number of characters of a value in an error text.
const SHOWN: usize = 60;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_digits_members_and_positions() {
        let text = br#" {"a": 1.50, "a" : [null, "\u00e9\ud83d\ude00\n"] } "#;
        let json = parse(text, 2).unwrap();
        let Value::Object(members) = &json.value else { panic!("{json:?}") };
        assert_eq!((json.at, members.len(), members[1].at), (1, 2, 13));
        assert!(matches!(members[0].json.value, Value::Number("1.50")));
        let Value::List(items) = &members[1].json.value else { panic!("{json:?}") };
        assert!(matches!(&items[1].value, Value::Text(text) if text == "é😀\n"));
    }

    #[test]
    fn reports_invalid_json() {
        for (text, at) in [
            ("", 0),
            ("{", 1),
            (r#"{"a":1,}"#, 7),
            ("[1,]", 3),
            ("[1 2]", 3),
            ("{a:1}", 1),
            ("nullx", 0),
            ("01", 0),
            ("\"a\tb\"", 2),
            (r#""\x""#, 1),
            (r#""\ud800""#, 1),
            (r#""\ud800\u0041""#, 1),
            (r#""\udc00""#, 1),
            (r#""\u+123""#, 1),
            ("{} {}", 3),
            ("\"abc", 4),
        ] {
            let fault = parse(text.as_bytes(), 9).unwrap_err();
            assert_eq!((fault.offset(), fault.is_syntax()), (Some(at), true), "{text}: {fault}");
        }
        assert!(parse(b"\"\xff\"", 9).unwrap_err().is_syntax());
        assert!(parse(b"[[[]]]", 2).unwrap_err().is_depth());
    }
}
