//! The magic cookie, by which a plugin knows that a host launched it.

use std::fmt;

/// The name and the expected value of an environment variable.
///
/// The cookie is not a secret: it keeps users from starting a plugin by hand. Security comes from mutual TLS. [`Debug`] hides the value,
/// so that logs do not have it.
///
/// # Protocol
/// go-plugin `HandshakeConfig.MagicCookieKey` and `MagicCookieValue`; both must be set.
#[derive(Clone, PartialEq, Eq)]
pub struct MagicCookie {
    key: Box<str>,
    value: Box<str>,
}

/// The error for an invalid magic cookie.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, miette::Diagnostic)]
#[non_exhaustive]
pub enum CookieError {
    /// The key is empty.
    #[error("the magic cookie has no key")]
    #[diagnostic(
        code(rpcplugin::config::cookie_key_empty),
        help(
            "give the name of an environment variable, such as `MY_APP_PLUGIN`, the same to host and plugin"
        )
    )]
    EmptyKey,
    /// The key cannot be the name of an environment variable.
    #[error("the magic cookie key {key:?} cannot be the name of an environment variable")]
    #[diagnostic(
        code(rpcplugin::config::cookie_key_invalid),
        help("use letters, digits and underscores: `=` and NUL are invalid in a variable's name")
    )]
    InvalidKey {
        /// The key.
        key: String,
    },
    /// The value is empty.
    #[error("the magic cookie {key} has no value")]
    #[diagnostic(
        code(rpcplugin::config::cookie_value_empty),
        help("give host and plugin the same value; a random value keeps unrelated programs apart")
    )]
    EmptyValue {
        /// The key whose value is missing.
        key: String,
    },
    /// The value cannot be the value of an environment variable.
    #[error("the value of the magic cookie {key} contains a NUL byte")]
    #[diagnostic(
        code(rpcplugin::config::cookie_value_invalid),
        help("remove the NUL byte: environment variables cannot contain it")
    )]
    InvalidValue {
        /// The key whose value is invalid.
        key: String,
    },
}

impl MagicCookie {
    /// Creates a cookie.
    ///
    /// # Errors
    /// [`CookieError`] if the key or the value is empty or invalid in an environment.
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

    /// Creates the cookie of Terraform's providers. OpenTofu has the same cookie. Providers serve the versions 5 and 6.
    ///
    /// # Protocol
    /// hashicorp/terraform-plugin-go `tfprotov6/tf6server/server.go`, and `tfprotov5/tf5server/server.go` with the same values.
    #[must_use]
    pub fn terraform() -> Self {
        Self::of("TF_PLUGIN_MAGIC_COOKIE", "d602bf8f470bc67ca7faa0386276bbdd4330efaf76d1a219cb4d6991ca9872b2")
    }

    /// Creates the cookie of Grafana's backend plugins, of every kind. These plugins serve version 2.
    ///
    /// # Protocol
    /// grafana/grafana-plugin-sdk-go `backend/grpcplugin`, `MagicCookieKey` and `MagicCookieValue`.
    #[must_use]
    pub fn grafana() -> Self {
        Self::of("grafana_plugin_type", "datasource")
    }

    /// Creates a cookie that a test has checked.
    fn of(key: &str, value: &str) -> Self {
        Self { key: key.into(), value: value.into() }
    }

    /// The name of the environment variable.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The expected value of the variable.
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
    fn keys_and_values_that_an_environment_cannot_have_are_refused() {
        assert_eq!(MagicCookie::new("", "v"), Err(CookieError::EmptyKey));
        assert_eq!(MagicCookie::new("A=B", "v"), Err(CookieError::InvalidKey { key: "A=B".into() }));
        assert_eq!(MagicCookie::new("K", ""), Err(CookieError::EmptyValue { key: "K".into() }));
        assert_eq!(MagicCookie::new("K", "a\0b"), Err(CookieError::InvalidValue { key: "K".into() }));
    }

    #[test]
    fn the_cookies_of_ecosystems_are_valid() {
        for cookie in [MagicCookie::terraform(), MagicCookie::grafana()] {
            assert_eq!(MagicCookie::new(cookie.key(), cookie.value()), Ok(cookie));
        }
    }

    #[test]
    fn debug_hides_the_value() {
        let cookie = MagicCookie::new("KEY", "s3cret").expect("valid");
        let shown = format!("{cookie:?}");
        assert!(shown.contains("KEY") && !shown.contains("s3cret"), "{shown}");
    }
}
