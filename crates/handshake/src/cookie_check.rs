//! Whether a host started this process.

use std::ffi::OsString;

use rpcplugin_core::MagicCookie;
use subtle::ConstantTimeEq as _;

/// The process was not started by a host that knows this plugin's magic cookie.
///
/// What the variable held is not part of the error: it may belong to something else.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, miette::Diagnostic)]
#[non_exhaustive]
pub enum CookieRefused {
    /// The cookie's variable is not set.
    #[error("this program is a plugin, and no host started it")]
    #[diagnostic(
        code(rpcplugin::handshake::cookie_missing),
        help(
            "start the program that uses this plugin; it will start the plugin by itself ({key} is not set)"
        )
    )]
    Missing {
        /// The variable that a host would have set.
        key: String,
    },
    /// The cookie's variable holds something else.
    #[error("this program is a plugin, and the host that started it expects another one")]
    #[diagnostic(
        code(rpcplugin::handshake::cookie_mismatch),
        help(
            "give host and plugin the same magic cookie: the value of {key} is not the one this plugin expects"
        )
    )]
    Different {
        /// The variable whose value differs.
        key: String,
    },
}

/// Compares the cookie with what `lookup` finds in the environment. The comparison of two values of one length takes the
/// same time wherever they differ.
///
/// # Errors
/// [`CookieRefused`] when the variable is missing or holds another value.
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
    fn tells_missing_from_different() {
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
