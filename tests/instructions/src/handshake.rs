//! The offer in the environment and the answer in the first line, each in both directions.

use std::ffi::OsString;
use std::hint::black_box;

use rpcplugin_core::{MagicCookie, TcpPorts, Versions};
use rpcplugin_handshake::{HandshakeLine, HostEnv, ReceivedEnv};

use crate::{Piece, Work, repeat};

pub(crate) const PIECES: &[Piece] = &[
    ("handshake: parse the answer", parse_answer),
    ("handshake: print the answer", print_answer),
    ("handshake: make the offer", make_offer),
    ("handshake: read the offer", read_offer),
];

fn line() -> String {
    // The certificate of AutoMTLS has some 400 bytes.
    format!("1|3|unix|/tmp/plugin-dir123/plugin456|grpc|{}|true", "TUlJ".repeat(133))
}

fn parse_answer() -> Work {
    let line = line();
    repeat(move || HandshakeLine::parse(black_box(&line)).is_ok())
}

fn print_answer() -> Work {
    let answer = HandshakeLine::parse(&line()).expect("the line is a good one");
    repeat(move || black_box(&answer).to_string())
}

fn make_offer() -> Work {
    let (offer, cookie) = offer();
    repeat(move || black_box(&offer).to_env(&cookie))
}

fn read_offer() -> Work {
    let (offer, cookie) = offer();
    let environment: Vec<(String, Option<OsString>)> = offer.to_env(&cookie);
    repeat(move || {
        let environment = black_box(&environment);
        ReceivedEnv::from_env(|name| environment.iter().find(|(known, _)| known == name)?.1.clone())
    })
}

fn offer() -> (HostEnv, MagicCookie) {
    let cookie = MagicCookie::new("KV_PLUGIN", "hello").expect("it has a key and a value");
    let offer = HostEnv {
        versions: Versions::from(3),
        ports: TcpPorts::GO_DEFAULT,
        client_certificate: Some("-----BEGIN CERTIFICATE-----\nTUlJ\n-----END CERTIFICATE-----\n".to_owned()),
        multiplex: true,
        socket_dir: Some("/tmp/plugin-dir123".into()),
        socket_group: None,
    };
    (offer, cookie)
}
