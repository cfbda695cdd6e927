//! A host that is going to be killed, for tests of what becomes of its plugin: starts the program named by its second
//! argument, says so, and waits for its end. Its first argument is what becomes of the plugin: `dies`, `lives`, or
//! `goes-on`, which hands it over and ends.
#![expect(clippy::print_stderr, clippy::print_stdout, reason = "its output is what the tests look at")]

use std::{env::args, process::ExitCode};

use rpcplugin::{Command, Host, MagicCookie};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let (fate, program) = (args().nth(1).unwrap_or_default(), args().nth(2).unwrap_or_default());
    let cookie = MagicCookie::new("FAULTY_PLUGIN", "cookie").expect("a key and a value");
    let host = Host::new(cookie, 1).configure(|config| config.die_with_host = fate == "dies");
    // The shell has a child of its own in the group, and is no plugin that watches its host.
    let shell = Command::new("/bin/sh").args(["-c", "sleep 1000 & \"$0\" healthy & wait", &program]);
    let command = if fate == "goes-on" { Command::new(program).arg("healthy") } else { shell };
    let plugin = match host.launch(command.env("PLUGIN_EXIT_WITH_HOST", "false")).await {
        Ok(plugin) => plugin,
        Err(error) => {
            eprintln!("{error:?}");
            return ExitCode::FAILURE;
        }
    };
    if fate == "goes-on" {
        println!("{}", plugin.hand_over().await.to_json());
        return ExitCode::SUCCESS;
    }
    println!("ready");
    std::future::pending().await
}
