//! The variables of the handshake and the handshake line, each written and read.

use std::ffi::OsString;
use std::hint::black_box;

use rpcplugin_core::{MagicCookie, TcpPorts, Versions};
use rpcplugin_handshake::{HandshakeLine, HostEnv, ReceivedEnv};

use crate::{Piece, Work, repeat};

pub(crate) const PIECES: &[Piece] = &[
    ("handshake: parse the line", parse_line),
    ("handshake: print the line", print_line),
    ("handshake: make the variables", make_variables),
    ("handshake: read the variables", read_variables),
];

fn line() -> String {
    // The certificate of AutoMTLS has some 400 bytes.
    format!("1|3|unix|/tmp/plugin-dir123/plugin456|grpc|{}|true", "TUlJ".repeat(133))
}

fn parse_line() -> Work {
    let line = line();
    repeat(move || HandshakeLine::parse(black_box(&line)).is_ok())
}

fn print_line() -> Work {
    let line = HandshakeLine::parse(&line()).expect("a valid line");
    repeat(move || black_box(&line).to_string())
}

fn make_variables() -> Work {
    let (host, cookie) = host_env();
    repeat(move || black_box(&host).to_env(&cookie))
}

fn read_variables() -> Work {
    let (host, cookie) = host_env();
    let environment: Vec<(String, Option<OsString>)> = host.to_env(&cookie);
    repeat(move || {
        let environment = black_box(&environment);
        ReceivedEnv::from_env(|name| environment.iter().find(|(known, _)| known == name)?.1.clone())
    })
}

fn host_env() -> (HostEnv, MagicCookie) {
    let cookie = MagicCookie::new("KV_PLUGIN", "hello").expect("a key and a value");
    let host = HostEnv {
        versions: Versions::from(3),
        ports: TcpPorts::GO_DEFAULT,
        client_certificate: Some("-----BEGIN CERTIFICATE-----\nTUlJ\n-----END CERTIFICATE-----\n".to_owned()),
        multiplex: true,
        socket_dir: Some("/tmp/plugin-dir123".into()),
        socket_group: None,
    };
    (host, cookie)
}
