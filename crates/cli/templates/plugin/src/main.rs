//! The plugin: a program that a host launches.

mod greeter;

use std::process::ExitCode;

use rpcplugin::{MagicCookie, Serve};

use __snake___protocol::{COOKIE, DESCRIPTORS, VERSION, greeter_server::GreeterServer};

use crate::greeter::English;

fn main() -> ExitCode {
    let cookie = MagicCookie::new(COOKIE.0, COOKIE.1).expect("a key and a value");
    let greeter = GreeterServer::new(English);
    Serve::new(cookie)
        .version(VERSION, greeter)
        .descriptors(DESCRIPTORS)
        .main()
}
