//! The environment of this process, in which the host passes its part of the handshake.

use std::ffi::OsString;

/// Returns the value of a variable. No other function of this crate reads the environment.
#[expect(clippy::disallowed_methods, reason = "the host passes its part of the handshake in the environment")]
pub(crate) fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name)
}
