//! The plugin of the guide: a greeter for hosts in any language.
//!
//! ```text
//! cargo build --example greeter-plugin && cargo run --example greeter-host
//! ```

use std::process::ExitCode;

use rpcplugin::{MagicCookie, Serve};

#[path = "greeter/greeter.rs"]
mod greeter;

use greeter::{English, GreeterServer};

fn main() -> ExitCode {
    let cookie = MagicCookie::new("GREETER_PLUGIN", "hello").expect("a key and a value");
    Serve::new(cookie).version(1, GreeterServer::new(English)).main()
}
