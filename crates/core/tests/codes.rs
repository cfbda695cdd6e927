//! Each error has its documented code.

use std::fmt::Debug;

use miette::Diagnostic;
use rpcplugin_core::{Endpoint, ErrorCategory, MagicCookie, SocketPath, Versions};

#[track_caller]
fn check<T: Debug, E: Diagnostic>(result: Result<T, E>, code: &str) {
    let error = result.expect_err(code);
    assert_eq!(error.code().expect("a code").to_string(), code);
    assert!(error.help().is_some_and(|help| !help.to_string().is_empty()), "{error}");
    assert_ne!(ErrorCategory::of(&error), ErrorCategory::Base);
}

#[test]
fn errors_of_a_programs_values_have_their_codes() {
    check(MagicCookie::new("", "v"), "rpcplugin::config::cookie_key_empty");
    check(MagicCookie::new("A=B", "v"), "rpcplugin::config::cookie_key_invalid");
    check(MagicCookie::new("K", ""), "rpcplugin::config::cookie_value_empty");
    check(MagicCookie::new("K", "a\0b"), "rpcplugin::config::cookie_value_invalid");
    check(Versions::new(Vec::<u32>::new()), "rpcplugin::config::no_versions");
}

#[test]
fn errors_of_a_plugins_endpoint_have_their_codes() {
    check(Endpoint::parse("pipe", "x"), "rpcplugin::transport::unknown_network");
    check(Endpoint::parse("unix", ""), "rpcplugin::transport::empty_path");
    check(Endpoint::parse("tcp", "nowhere"), "rpcplugin::transport::invalid_address");
    check(SocketPath::new("/a|b"), "rpcplugin::transport::path_not_announceable");
    check(SocketPath::new("x".repeat(SocketPath::MAX_LEN + 1)), "rpcplugin::transport::path_too_long");
}
