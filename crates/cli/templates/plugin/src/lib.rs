//! The plugin: what it serves.

mod greeter;

use rpcplugin::{MagicCookie, Serve};

use __snake___protocol::greeter_server::GreeterServer;
use __snake___protocol::{COOKIE, DESCRIPTORS, VERSION};

use crate::greeter::English;

/// The plugin, ready to serve.
pub fn serve() -> Serve {
    let cookie = MagicCookie::new(COOKIE.0, COOKIE.1).expect("a key and a value");
    Serve::new(cookie)
        .version(VERSION, GreeterServer::new(English))
        .descriptors(DESCRIPTORS)
}
