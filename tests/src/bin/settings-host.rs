//! A host set up by nothing but its environment: starts the program in its first argument, prints its process id, and
//! waits to be killed.

use std::io::Write as _;

use rpcplugin::{Command, Host, MagicCookie, config::Loader};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let program = std::env::args_os().nth(1).ok_or("the program to start")?;
    let cookie = MagicCookie::new("CONFORMANCE_KIT_COOKIE", "b1d0c9a6-conformance")?;
    let host = Host::new(cookie, 1).config(Loader::new().process_env().host()?);
    // The plugin itself would end with its host; whether the host sees to it is another matter.
    let plugin = host.launch(Command::new(program).env("PLUGIN_EXIT_WITH_HOST", "false")).await?;
    writeln!(std::io::stdout(), "{}", plugin.pid().map_or(0, rpcplugin::host::Pid::get))?;
    std::future::pending().await
}
