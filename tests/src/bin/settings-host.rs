//! A host with settings from its environment: launches the program in its first argument, prints the pid of the plugin, and
//! waits to be killed.

use std::io::Write as _;

use rpcplugin::{Command, Host, MagicCookie, config::Loader};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let program = std::env::args_os().nth(1).ok_or("the program to start")?;
    let cookie = MagicCookie::new("CONFORMANCE_KIT_COOKIE", "b1d0c9a6-conformance")?;
    let host = Host::new(cookie, 1).config(Loader::new().process_env().host()?);
    // The plugin must not end by itself: the test is about the host's part.
    let plugin = host.launch(Command::new(program).env("PLUGIN_EXIT_WITH_HOST", "false")).await?;
    writeln!(std::io::stdout(), "{}", plugin.pid().ok_or("the plugin has no process")?)?;
    std::future::pending().await
}
