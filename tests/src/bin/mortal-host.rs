//! A host that a test ends by a signal: launches the program in its arguments, with settings from its environment.
//!
//! The host prints the pid of the plugin when the plugin is ready, or the error of the launch, and waits. `MORTAL_HOST` changes
//! this:
//!
//! | `MORTAL_HOST` | effect |
//! |---|---|
//! | `starting` | prints the pid as soon as the process has started |
//! | `stopping` | shuts the plugin down at the end of stdin, prints how it ended, and waits |
//! | `terminal` | the plugin inherits stdin, and the host exits if the launch fails |
#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "the switch of a test, and the output that it reads"
)]

use std::io::Read as _;

use miette::Diagnostic as _;
use rpcplugin::{
    Command, Host, MagicCookie,
    config::Loader,
    error::PlainReport,
    host::{Event, Stdin},
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args_os().skip(1);
    let program = args.next().ok_or("the program to start")?;
    let when = std::env::var("MORTAL_HOST").unwrap_or_default();
    let cookie = std::env::var("MORTAL_HOST_COOKIE")?;
    let (key, value) = cookie.split_once('=').ok_or("a key and a value")?;
    let host = Host::new(MagicCookie::new(key, value)?, rpcplugin::Versions::new([1, 2, 3])?)
        .config(Loader::new().process_env().host()?);
    let mut events = host.events();
    let starting = when == "starting";
    tokio::spawn(async move {
        while let Some(event) = events.next().await {
            if let Event::Started { pid: Some(pid) } = event.event
                && starting
            {
                println!("{pid}");
            }
        }
    });
    let command =
        Command::new(program).args(args).stdin(if when == "terminal" { Stdin::Inherit } else { Stdin::Null });
    match host.launch(command).await {
        Ok(plugin) => {
            if !starting {
                println!("{}", plugin.pid().ok_or("the plugin has no process")?);
            }
            if when == "stopping" {
                tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new())).await??;
                println!("{:?}", plugin.shut_down().await);
            } else {
                std::mem::forget(plugin);
            }
        }
        Err(error) => {
            println!("{}", error.fault.code().map(|code| code.to_string()).unwrap_or_default());
            println!("{}", PlainReport(&error));
            if when == "terminal" {
                return Ok(());
            }
        }
    }
    std::future::pending().await
}
