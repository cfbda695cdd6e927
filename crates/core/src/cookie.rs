//! The magic cookie: how a plugin knows that a host started it, and not a person at a shell.

use std::fmt;

/// An environment variable and the value that a plugin expects in it.
///
/// The cookie is a courtesy, not a secret: it keeps people from starting a plugin by hand. Security comes from
/// mutual TLS. Still, [`Debug`] hides the value, so that it does not end in logs.
///
/// # Protocol
/// go-plugin `HandshakeConfig.MagicCookieKey` and `MagicCookieValue`; both must be set.
#[derive(Clone, PartialEq, Eq)]
pub struct MagicCookie {
    key: Box<str>,
    value: Box<str>,
}

/// Why a key and a value make no magic cookie.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, miette::Diagnostic)]
#[non_exhaustive]
pub enum CookieError {
    /// The key is empty.
    #[error("the magic cookie has no key")]
    #[diagnostic(
        code(rpcplugin::config::cookie_key_empty),
        help("name the environment variable that host and plugin agree upon, for example `MY_APP_PLUGIN`")
    )]
    EmptyKey,
    /// The key cannot be the name of an environment variable.
    #[error("the magic cookie key {key:?} cannot be the name of an environment variable")]
    #[diagnostic(
        code(rpcplugin::config::cookie_key_invalid),
        help("use letters, digits and underscores; `=` and NUL are impossible in a variable's name")
    )]
    InvalidKey {
        /// The key as given.
        key: String,
    },
    /// The value is empty.
    #[error("the magic cookie {key} has no value")]
    #[diagnostic(
        code(rpcplugin::config::cookie_value_empty),
        help("give host and plugin the same non-empty value; a random one keeps unrelated programs apart")
    )]
    EmptyValue {
        /// The key whose value is missing.
        key: String,
    },
    /// The value cannot be put into an environment.
    #[error("the value of the magic cookie {key} contains a NUL byte")]
    #[diagnostic(
        code(rpcplugin::config::cookie_value_invalid),
        help("remove the NUL byte: no environment variable can hold one")
    )]
    InvalidValue {
        /// The key whose value is impossible.
        key: String,
    },
}

impl MagicCookie {
    /// A cookie with this key and value.
    ///
    /// # Errors
    /// [`CookieError`] when either is empty or cannot stand in an environment.
    pub fn new(key: impl Into<String>, value: impl Into<String>) -> Result<Self, CookieError> {
        let (key, value) = (key.into(), value.into());
        if key.is_empty() {
            return Err(CookieError::EmptyKey);
        }
        if key.contains(['=', '\0']) {
            return Err(CookieError::InvalidKey { key });
        }
        if value.is_empty() {
            return Err(CookieError::EmptyValue { key });
        }
        if value.contains('\0') {
            return Err(CookieError::InvalidValue { key });
        }
        Ok(Self { key: key.into_boxed_str(), value: value.into_boxed_str() })
    }

    /// The name of the environment variable.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The value that the variable must have.
    #[must_use]
    pub fn value(&self) -> &str {
        &self.value
    }
}

impl fmt::Debug for MagicCookie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MagicCookie").field("key", &self.key).field("value", &"…").finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_no_environment_can_hold() {
        assert_eq!(MagicCookie::new("", "v"), Err(CookieError::EmptyKey));
        assert_eq!(MagicCookie::new("A=B", "v"), Err(CookieError::InvalidKey { key: "A=B".into() }));
        assert_eq!(MagicCookie::new("K", ""), Err(CookieError::EmptyValue { key: "K".into() }));
        assert_eq!(MagicCookie::new("K", "a\0b"), Err(CookieError::InvalidValue { key: "K".into() }));
    }

    #[test]
    fn debug_hides_the_value() {
        let cookie = MagicCookie::new("KEY", "s3cret").expect("valid");
        let shown = format!("{cookie:?}");
        assert!(shown.contains("KEY") && !shown.contains("s3cret"), "{shown}");
    }
}
