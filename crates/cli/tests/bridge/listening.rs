//! Where a bridge listens, and what it announces.

use std::{fs, net::TcpListener, os::unix::fs::PermissionsExt as _, process::Command};

use crate::{
    bridged::{Bridge, Stub},
    program::rpcplugin,
};

/// Ports that are free a moment ago: as many as are asked for, one after the other.
fn free_ports(count: u16) -> u16 {
    'next: for first in (42_000..60_000).step_by(usize::from(count)) {
        let mut held = Vec::new();
        for port in first..first + count {
            match TcpListener::bind(("127.0.0.1", port)) {
                Ok(listener) => held.push(listener),
                Err(_) => continue 'next,
            }
        }
        return first;
    }
    panic!("no ports are free");
}

#[test]
fn a_port_that_is_taken_is_named_and_the_plugin_is_not_started() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let started = dir.path().join("started");
    let started = started.to_str().unwrap();
    let run = rpcplugin(["bridge", "--listen", &address.to_string(), "--", "touch", started]).ended_with(3);
    run.prints(&["rpcplugin::transport::no_free_port", &format!("tried {}", address.port())]);
    assert!(!fs::exists(started).unwrap());
    // Not an address of this machine.
    rpcplugin(["bridge", "--listen", "192.0.2.1", "--", "touch", started])
        .ended_with(3)
        .prints(&["rpcplugin::transport::cannot_bind", "192.0.2.1"]);
    rpcplugin(["bridge", "--listen", "localhost", "--", "touch", started])
        .ended_with(2)
        .prints(&["an IP address"]);
    rpcplugin(["bridge", "--json", "--", "touch", started]).ended_with(2).prints(&["invalid_arguments"]);
    assert!(!fs::exists(started).unwrap());
}

#[test]
fn the_program_installs_itself_where_a_plugin_runs() {
    let dir = tempfile::tempdir().unwrap();
    let installed = dir.path().join("rpcplugin");
    let path = installed.to_str().unwrap();
    // The second time there is a file already.
    for _ in 0..2 {
        rpcplugin(["bridge", "--install", path]).ended_with(0);
        assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o755);
    }
    let version = Command::new(path).arg("--version").output().unwrap();
    assert!(version.status.success() && version.stdout.starts_with(b"rpcplugin "), "{version:?}");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    rpcplugin(["bridge", "--install", "/no/such/directory/rpcplugin"])
        .ended_with(1)
        .prints(&["cannot copy this program to /no/such/directory/rpcplugin"]);
    rpcplugin(["bridge", "--install", path, "--", "true"]).ended_with(2).prints(&["cannot be used with"]);
    rpcplugin(["bridge"]).ended_with(2).prints(&["PLUGIN"]);
}

#[test]
fn the_first_free_port_of_the_hosts_range_is_taken() {
    let stub = Stub::new();
    let first = free_ports(3);
    let _taken = TcpListener::bind(("127.0.0.1", first)).unwrap();
    let ranged = |min: u16, max: u16| {
        stub.bridge_with(|command| {
            command.env("PLUGIN_MIN_PORT", min.to_string()).env("PLUGIN_MAX_PORT", max.to_string());
        })
    };
    let mut second = ranged(first, first + 2);
    assert_eq!(second.address(), format!("127.0.0.1:{}", first + 1));
    let mut third = ranged(first, first + 2);
    assert_eq!(third.address(), format!("127.0.0.1:{}", first + 2));
    let mut none = ranged(first, first + 2);
    assert_eq!(none.ends().code(), Some(3));
    assert!(none.stderr().contains("rpcplugin::transport::no_free_port"), "{}", none.stderr());
    let mut reversed = ranged(first + 1, first);
    assert_eq!(reversed.ends().code(), Some(3));
    assert!(reversed.stderr().contains("PLUGIN_MIN_PORT"), "{}", reversed.stderr());
}

#[test]
fn the_address_to_announce_may_be_another_one() {
    let stub = Stub::new();
    let announced = |args: &[&str]| {
        let script = format!("echo '1|1|unix|{}|grpc|'; exec cat > /dev/null", stub.socket.display());
        Bridge::start(&[args, &["--"]].concat(), &script, |_| {}).address()
    };
    let port = free_ports(1);
    let fixed = format!("0.0.0.0:{port}");
    assert_eq!(announced(&["--listen", &fixed]), format!("127.0.0.1:{port}"));
    assert_eq!(announced(&["--listen", &fixed, "--announce", "10.0.0.7"]), format!("10.0.0.7:{port}"));
    assert_eq!(announced(&["--listen", &fixed, "--announce", "fd00::7"]), format!("[fd00::7]:{port}"));
    assert_eq!(announced(&["--announce", "plugin.example:7400"]), "plugin.example:7400");
    assert!(announced(&["--listen", "::1"]).starts_with("[::1]:"));
}

#[test]
fn an_open_address_without_certificates_or_multiplexing_is_warned_of() {
    let stub = Stub::new();
    let script = format!("echo '1|1|unix|{}|grpc|'; exec cat > /dev/null", stub.socket.display());
    let log = |listen: &str, variables: &[(&str, &str)]| {
        let variables = variables.to_vec();
        let mut bridge = Bridge::start(&["--listen", listen, "--"], &script, |command| {
            command.env_remove("PLUGIN_CLIENT_CERT").envs(variables);
        });
        bridge.address();
        bridge.stderr()
    };
    let both = log("0.0.0.0", &[]);
    for part in ["GRPCBrokerMultiplex", "AutoMTLS", "\"@level\":\"warn\"", "\"@module\":\"rpcplugin-bridge\""]
    {
        assert!(both.contains(part), "{part} is missing in {both}");
    }
    assert_eq!(
        log("0.0.0.0", &[("PLUGIN_MULTIPLEX_GRPC", "true"), ("PLUGIN_CLIENT_CERT", "a certificate")]),
        ""
    );
    assert_eq!(log("127.0.0.1", &[]), "");
}
