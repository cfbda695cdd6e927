//! Each error has its documented code.

use std::{ffi::OsString, fmt::Debug};

use miette::Diagnostic;
use rpcplugin_core::{AppVersion, MagicCookie, TcpPorts, Versions};
use rpcplugin_handshake::{
    HandshakeLine, ReattachConfig, ReceivedEnv, accept_version, check_cookie, variable,
};

#[track_caller]
fn check<T: Debug, E: Diagnostic>(result: Result<T, E>, code: &str) {
    check_one(&result.expect_err(code), code);
}

#[track_caller]
fn check_one(error: &dyn Diagnostic, code: &str) {
    assert_eq!(error.code().expect("a code").to_string(), code);
    assert!(error.help().is_some_and(|help| !help.to_string().is_empty()), "{error}");
}

#[test]
fn faults_of_a_handshake_line_have_their_codes() {
    // The fault carries the code; the error around it shows the line.
    let check = |line: &str, code: &str| check_one(&HandshakeLine::parse(line).expect_err(line).fault, code);
    check("hello", "rpcplugin::handshake::not_a_handshake_line");
    check("2|1|unix|/p|grpc|", "rpcplugin::handshake::core_version");
    check("5|0|unix|/tmp/packer-plugin", "rpcplugin::protocol::packer");
    check("1|x|unix|/p|grpc|", "rpcplugin::handshake::version_unreadable");
    check("1|1|tcp|nowhere|grpc|", "rpcplugin::handshake::address_invalid");
    check("1|1|unix|/p|netrpc", "rpcplugin::protocol::net_rpc");
    check("1|1|unix|/p|http|", "rpcplugin::protocol::unknown_protocol");
    let junk = "!".repeat(60);
    check(&format!("1|1|unix|/p|grpc|{junk}"), "rpcplugin::security::certificate_unreadable");
}

#[test]
fn faults_of_the_environment_have_their_codes() {
    let cookie = MagicCookie::new("KEY", "value").expect("a cookie");
    check(check_cookie(&cookie, |_| None), "rpcplugin::handshake::cookie_missing");
    check(check_cookie(&cookie, |_| Some(OsString::from("x"))), "rpcplugin::handshake::cookie_mismatch");
    let received = ReceivedEnv::from_env(|name| (name == variable::MIN_PORT).then(|| OsString::from("many")));
    check_one(&received.faults[0], "rpcplugin::handshake::invalid_host_env");
    check(TcpPorts::between(2, 1), "rpcplugin::config::port_range_reversed");
    let offered = Versions::new([2, 3]).expect("versions");
    check(accept_version(AppVersion(1), &offered), "rpcplugin::protocol::version_not_offered");
}

#[test]
fn errors_of_attaching_have_their_codes() {
    let config = |protocol: &str, network: &str| {
        format!(
            r#"{{"Protocol":"{protocol}","ProtocolVersion":1,"Pid":1,"Test":true,
                "Addr":{{"Network":"{network}","String":"/p"}}}}"#
        )
    };
    check(ReattachConfig::parse("{"), "rpcplugin::handshake::reattach_unreadable");
    check(ReattachConfig::parse(&config("netrpc", "unix")), "rpcplugin::handshake::reattach_not_grpc");
    check(ReattachConfig::parse(&config("grpc", "pipe")), "rpcplugin::handshake::reattach_address");
}
