//! The check of the magic cookie, which shows whether a host launched this process.

use std::ffi::OsString;

use rpcplugin_core::MagicCookie;
use subtle::ConstantTimeEq as _;

/// The environment does not have the magic cookie of this plugin.
///
/// The error does not have the value of the variable, which may belong to another program.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, miette::Diagnostic)]
#[non_exhaustive]
pub enum CookieRefused {
    /// The cookie's variable is not set.
    #[error("this program is a plugin, and no host launched it")]
    #[diagnostic(
        code(rpcplugin::handshake::cookie_missing),
        help("start the program that uses this plugin; that program launches the plugin ({key} is not set)")
    )]
    Missing {
        /// The cookie's variable.
        key: String,
    },
    /// The cookie's variable has another value.
    #[error("this program is a plugin, and its host expects another plugin")]
    #[diagnostic(
        code(rpcplugin::handshake::cookie_mismatch),
        help("give host and plugin the same magic cookie: this plugin expects another value of {key}")
    )]
    Different {
        /// The cookie's variable.
        key: String,
    },
}

/// Checks that the environment, which `lookup` reads, has the cookie. Values of the same length are compared in constant time.
///
/// # Errors
/// [`CookieRefused`] if the variable is missing or has another value.
pub fn check_cookie(
    cookie: &MagicCookie,
    lookup: impl Fn(&str) -> Option<OsString>,
) -> Result<(), CookieRefused> {
    let key = || cookie.key().to_owned();
    match lookup(cookie.key()) {
        None => Err(CookieRefused::Missing { key: key() }),
        Some(value) if value.as_encoded_bytes().ct_eq(cookie.value().as_bytes()).into() => Ok(()),
        Some(_) => Err(CookieRefused::Different { key: key() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_cookie_and_a_different_one_are_distinct_errors() {
        let cookie = MagicCookie::new("KEY", "right").expect("valid");
        let check =
            |value: Option<&str>| check_cookie(&cookie, |key| value.filter(|_| key == "KEY").map(Into::into));
        assert_eq!(check(Some("right")), Ok(()));
        assert_eq!(check(None), Err(CookieRefused::Missing { key: "KEY".into() }));
        assert_eq!(check(Some("wrong")), Err(CookieRefused::Different { key: "KEY".into() }));
        for similar in ["righ", "rightt", "Right", "right\u{0}"] {
            assert_eq!(
                check(Some(similar)),
                Err(CookieRefused::Different { key: "KEY".into() }),
                "{similar:?}"
            );
        }
        assert_eq!(check(Some("")), Err(CookieRefused::Different { key: "KEY".into() }));
    }
}
