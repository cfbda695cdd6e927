//! A minimal plugin: it serves only the services that every plugin serves. For trying out the program, and for its tests.
//!
//! ```text
//! cargo build -p rpcplugin-cli --example basic-plugin
//! rpcplugin conformance --cookie BASIC_PLUGIN=hello -- target/debug/examples/basic-plugin
//! ```

use std::process::ExitCode;

use rpcplugin::{MagicCookie, Serve, Services, plugin_metadata};

fn main() -> ExitCode {
    let cookie = MagicCookie::new("BASIC_PLUGIN", "hello").expect("a key and a value");
    Serve::new(cookie)
        .version_with(1, |_| Services::new())
        .version_with(2, |_| Services::new())
        .metadata(
            plugin_metadata!(name = "basic", capabilities = ["nothing"], build = { "example" => "yes" }),
        )
        .main()
}
