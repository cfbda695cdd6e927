//! A host that a test ends by a signal: launches the program in its arguments, set up by nothing but its environment.
//!
//! It prints the number of the plugin's process when that is ready, or with `MORTAL_HOST=starting` as soon as there is one,
//! or the fault if the plugin does not start; then it waits. With `MORTAL_HOST=stopping` it stops the plugin as soon as its
//! standard input ends, prints how that ended, and goes on waiting. With `MORTAL_HOST=terminal` the plugin has this host's
//! standard input, and a fault is the end.
#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a test's own switch, and what it looks at"
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
                println!("{}", plugin.pid().map_or(0, rpcplugin::host::Pid::get));
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
