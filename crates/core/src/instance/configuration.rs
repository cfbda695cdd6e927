//! The configuration of an instance.

use std::fmt;

use serde::{Serialize, de::DeserializeOwned};
use serde_json::error::Category;

/// The configuration of an instance: bytes, and their media type.
///
/// The configuration may have secrets. [`Debug`] shows the number of bytes only, and no error shows a value.
///
/// ```
/// # use rpcplugin_core::InstanceConfiguration;
/// # #[derive(serde::Serialize, serde::Deserialize, Debug, PartialEq)]
/// # struct Settings { url: String }
/// let settings = Settings { url: "https://user:secret@example.org".to_owned() };
/// let configuration = InstanceConfiguration::json(&settings)?;
/// assert_eq!(configuration.content_type(), "application/json");
/// assert_eq!(configuration.from_json::<Settings>()?, settings);
/// assert!(!format!("{configuration:?}").contains("secret"));
/// # Ok::<(), rpcplugin_core::ConfigurationError>(())
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct InstanceConfiguration {
    content_type: String,
    bytes: Vec<u8>,
}

/// The configuration of an instance cannot be converted. No case has a value of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, miette::Diagnostic)]
#[non_exhaustive]
pub enum ConfigurationError {
    /// The value cannot be written as JSON.
    #[error("the configuration of the instance cannot be written as JSON")]
    #[diagnostic(
        code(rpcplugin::instance::configuration_not_writable),
        help("use maps whose keys are text, and types whose `Serialize` does not fail")
    )]
    NotWritable,
    /// The configuration has another media type than JSON.
    #[error("the configuration of the instance has the content type {0:?} instead of application/json")]
    #[diagnostic(
        code(rpcplugin::instance::configuration_not_json),
        help("pass the configuration with `InstanceConfiguration::json` in the host")
    )]
    NotJson(String),
    /// The JSON is malformed, or it does not fit the plugin's type.
    #[error("the configuration of the instance is not valid: {what} at line {line}, column {column}")]
    #[diagnostic(
        code(rpcplugin::instance::invalid_configuration),
        help("compare the configuration of the host with the type that the plugin reads")
    )]
    Invalid {
        /// The kind of the fault, such as ``missing field `url` ``.
        what: String,
        /// The line, counted from 1.
        line: usize,
        /// The column, counted from 1.
        column: usize,
    },
}

impl InstanceConfiguration {
    /// Makes a configuration from bytes of this media type.
    #[must_use]
    pub fn new(content_type: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Self {
        Self { content_type: content_type.into(), bytes: bytes.into() }
    }

    /// Makes a configuration from a value, as JSON.
    ///
    /// # Errors
    /// [`ConfigurationError::NotWritable`] if `Serialize` fails, or if a map has keys that are not text.
    pub fn json(value: &impl Serialize) -> Result<Self, ConfigurationError> {
        let bytes = serde_json::to_vec(value).map_err(|_| ConfigurationError::NotWritable)?;
        Ok(Self { content_type: JSON.to_owned(), bytes })
    }

    /// The media type, such as `application/json`. May be empty.
    #[must_use]
    pub fn content_type(&self) -> &str {
        &self.content_type
    }

    /// The bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Whether there are no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Reads the bytes as JSON. The media type may be empty. Its parameters, such as `; charset=utf-8`, are ignored.
    ///
    /// # Errors
    /// [`ConfigurationError::NotJson`] for another media type, [`ConfigurationError::Invalid`] for a value that does not fit.
    pub fn from_json<T: DeserializeOwned>(&self) -> Result<T, ConfigurationError> {
        let media_type = self.content_type.split(';').next().unwrap_or_default().trim();
        if !media_type.is_empty() && !media_type.eq_ignore_ascii_case(JSON) {
            let shown = self.content_type.chars().take(SHOWN).collect();
            return Err(ConfigurationError::NotJson(shown));
        }
        serde_json::from_slice(&self.bytes).map_err(|error| ConfigurationError::Invalid {
            what: what(&error),
            line: error.line(),
            column: error.column(),
        })
    }
}

/// The kind of a fault, without any value of the configuration: the messages of serde contain values.
fn what(error: &serde_json::Error) -> String {
    let message = error.to_string();
    // These two name a field of the plugin's own type.
    let names_own_field =
        ["missing field ", "duplicate field "].iter().any(|start| message.starts_with(start));
    match error.classify() {
        Category::Data if names_own_field => message.split(" at line ").next().unwrap_or_default().to_owned(),
        Category::Data if message.starts_with("unknown field ") => "unknown field".to_owned(),
        Category::Data => "a value of the wrong type".to_owned(),
        Category::Eof => "incomplete JSON".to_owned(),
        Category::Syntax | Category::Io => "malformed JSON".to_owned(),
    }
}

impl fmt::Debug for InstanceConfiguration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InstanceConfiguration")
            .field("content_type", &self.content_type)
            .field("bytes", &self.bytes.len())
            .finish()
    }
}

const JSON: &str = "application/json";

/// How many characters of a media type an error shows.
const SHOWN: usize = 80;

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Settings {
        url: String,
        port: u16,
    }

    fn read(text: &str) -> Result<Settings, ConfigurationError> {
        InstanceConfiguration::new("Application/JSON; charset=utf-8", text).from_json()
    }

    #[test]
    fn json_is_read_into_the_plugins_type() {
        let settings = read(r#"{"url":"db","port":1}"#).expect("valid");
        assert_eq!(settings, Settings { url: "db".to_owned(), port: 1 });
        assert_eq!(InstanceConfiguration::new("", "1").from_json::<u8>(), Ok(1));
    }

    #[test]
    fn a_configuration_has_its_bytes_and_their_type() {
        let json = InstanceConfiguration::json(&[1, 2]).expect("writable");
        assert_eq!((json.content_type(), json.bytes()), ("application/json", &b"[1,2]"[..]));
        assert!(!json.is_empty() && InstanceConfiguration::default().is_empty());
    }

    #[test]
    fn no_error_has_a_value_of_the_configuration() {
        for (text, expected) in [
            (r#"{"url":"secret"}"#, "missing field `port` at line 1, column 16"),
            (r#"{"url":"x","url":"secret","port":1}"#, "duplicate field `url` at line 1, column 16"),
            (r#"{"url":"x","port":1,"secret":1}"#, "unknown field at line 1, column 28"),
            (r#"{"url":"x","port":"secret"}"#, "a value of the wrong type at line 1, column 26"),
            (r#"{"url":"secret"#, "incomplete JSON at line 1, column 14"),
            (r#"{"url":secret}"#, "malformed JSON at line 1, column 8"),
            (r#""secret""#, "a value of the wrong type at line 1, column 8"),
        ] {
            let error = read(text).expect_err(text);
            assert!(error.to_string().ends_with(expected), "{error}");
            assert!(!format!("{error:?} {error}").contains("secret"), "{error:?}");
        }
    }

    #[test]
    fn another_media_type_is_refused() {
        let toml = InstanceConfiguration::new("application/toml", "secret = 1");
        let error = toml.from_json::<Settings>().expect_err("not JSON");
        assert_eq!(error, ConfigurationError::NotJson("application/toml".to_owned()));
        let shown = format!("{toml:?}");
        assert!(shown.contains("10") && !shown.contains("secret"), "{shown}");
    }

    #[test]
    fn a_map_without_text_keys_cannot_be_written() {
        let error = InstanceConfiguration::json(&BTreeMap::from([((1, 2), 3)])).expect_err("keys are pairs");
        assert_eq!(error, ConfigurationError::NotWritable);
    }
}
