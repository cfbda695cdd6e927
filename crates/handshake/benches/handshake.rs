//! The cost of the handshake: the line and the environment, in both directions.

use std::{ffi::OsString, hint::black_box};

use rpcplugin_core::{MagicCookie, TcpPorts, Versions};
use rpcplugin_handshake::{HandshakeLine, HostEnv, ReceivedEnv};

fn main() {
    divan::main();
}

fn line() -> String {
    // The certificate of AutoMTLS has some 400 bytes.
    format!("1|3|unix|/tmp/plugin-dir123/plugin456|grpc|{}|true", "TUlJ".repeat(133))
}

#[divan::bench]
fn parse_line(bencher: divan::Bencher<'_, '_>) {
    let line = line();
    bencher.bench(|| HandshakeLine::parse(black_box(&line)).is_ok());
}

#[divan::bench]
fn print_line(bencher: divan::Bencher<'_, '_>) {
    let line = HandshakeLine::parse(&line()).expect("a good line");
    bencher.bench(|| black_box(&line).to_string());
}

#[divan::bench]
fn environment_there_and_back(bencher: divan::Bencher<'_, '_>) {
    let cookie = MagicCookie::new("KV_PLUGIN", "hello").expect("a key and a value");
    let host_env = HostEnv {
        versions: Versions::from(3),
        ports: TcpPorts::GO_DEFAULT,
        client_certificate: Some("-----BEGIN CERTIFICATE-----\nTUlJ\n-----END CERTIFICATE-----\n".to_owned()),
        multiplex: true,
        socket_dir: Some("/tmp/plugin-dir123".into()),
        socket_group: None,
    };
    bencher.bench(|| {
        let environment: Vec<(String, Option<OsString>)> = black_box(&host_env).to_env(&cookie);
        ReceivedEnv::from_env(|name| environment.iter().find(|(known, _)| known == name)?.1.clone())
    });
}
