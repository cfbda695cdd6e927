//! The id of an instance.

use std::{borrow::Borrow, fmt, str::FromStr, sync::Arc};

/// The id of an instance of a plugin: 1 to 128 ASCII letters, digits, and `-`, `_`, `.`, `:`, `/`. Cheap to clone.
///
/// A call names its instance in the gRPC metadata [`METADATA_KEY`](Self::METADATA_KEY). The characters are those that metadata,
/// log records and file names carry unchanged.
///
/// ```
/// # use rpcplugin_core::InstanceId;
/// let id: InstanceId = "tenants/acme".parse()?;
/// assert_eq!(id.as_str(), "tenants/acme");
/// assert!("line\nbreak".parse::<InstanceId>().is_err());
/// # Ok::<(), rpcplugin_core::InstanceIdError>(())
/// ```
///
/// # Protocol
/// An extension of rpcplugin: `proto/rpcplugin/v1/instances.proto`. go-plugin has no instances.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct InstanceId(Arc<str>);

/// The text is not an id of an instance.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, miette::Diagnostic)]
#[error("the id of an instance is not valid: {shown:?}")]
#[diagnostic(
    code(rpcplugin::instance::invalid_id),
    help("use 1 to 128 ASCII letters, digits, `-`, `_`, `.`, `:` and `/`")
)]
pub struct InstanceIdError {
    /// The first characters of the text.
    shown: String,
}

impl InstanceId {
    /// The key of the gRPC metadata that names the instance of a call.
    pub const METADATA_KEY: &'static str = "rpcplugin-instance";

    /// The greatest number of characters of an id.
    pub const MAX_LEN: usize = 128;

    /// Makes an id from text.
    ///
    /// # Errors
    /// [`InstanceIdError`] if the text is empty, too long, or has other characters.
    pub fn new(id: impl AsRef<str>) -> Result<Self, InstanceIdError> {
        let id = id.as_ref();
        Self::check(id)?;
        Ok(Self(id.into()))
    }

    /// Checks an id, without making a value.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn check(id: &str) -> Result<(), InstanceIdError> {
        let is_valid = !id.is_empty() && id.len() <= Self::MAX_LEN && id.bytes().all(is_allowed);
        if is_valid { Ok(()) } else { Err(InstanceIdError::of(id)) }
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl InstanceIdError {
    fn of(id: &str) -> Self {
        let mut shown: String = id.chars().take(SHOWN).collect();
        if shown.len() < id.len() {
            shown.push('…');
        }
        Self { shown }
    }
}

impl FromStr for InstanceId {
    type Err = InstanceIdError;

    fn from_str(id: &str) -> Result<Self, InstanceIdError> {
        Self::new(id)
    }
}

impl AsRef<str> for InstanceId {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for InstanceId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

fn is_allowed(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_.:/".contains(&byte)
}

/// How many characters of an invalid id an error shows.
const SHOWN: usize = 40;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ids_of_the_alphabet_are_accepted() {
        for id in ["a", "0", "tenants/acme", "db-1.eu:5432_x", "/", "..", &"x".repeat(InstanceId::MAX_LEN)] {
            let valid: InstanceId = id.parse().expect("valid");
            let (borrowed, reference): (&str, &str) = (valid.borrow(), valid.as_ref());
            assert_eq!((valid.as_str(), borrowed, reference), (id, id, id));
            assert_eq!((format!("{valid}"), format!("{valid:?}")), (id.to_owned(), format!("{id:?}")));
        }
    }

    #[test]
    fn other_texts_are_refused_and_shown_without_control_characters() {
        for id in
            ["", " ", "a b", "a\n", "\u{1b}[2J", "é", "a\0", "a%20", &"x".repeat(InstanceId::MAX_LEN + 1)]
        {
            let error = InstanceId::new(id).expect_err("invalid").to_string();
            assert!(!error.chars().any(char::is_control), "{error:?}");
            assert!(error.len() < 120, "{error}");
        }
        let error = InstanceId::new("a\u{202e}\u{1b}]0;x\u{7}").expect_err("invalid").to_string();
        assert_eq!(error, r#"the id of an instance is not valid: "a\u{202e}\u{1b}]0;x\u{7}""#);
        let error = InstanceId::new(format!("{} ", "x".repeat(SHOWN))).expect_err("invalid");
        assert_eq!(error.shown, format!("{}…", "x".repeat(SHOWN)));
    }

    proptest! {
        #[test]
        fn an_accepted_id_has_only_visible_ascii(text in r"(\PC|\p{C}){0,40}") {
            if let Ok(id) = InstanceId::new(&text) {
                prop_assert!(id.as_str().bytes().all(|byte| byte.is_ascii_graphic()));
                prop_assert_eq!(id.as_str(), text);
            }
        }
    }
}
