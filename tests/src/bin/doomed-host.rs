//! A host that a test kills, to see the effect on its plugin: launches the program in its second argument, prints `ready`,
//! and waits.
//!
//! The first argument is the fate of the plugin:
//!
//! | argument | fate |
//! |---|---|
//! | `dies` | it dies with the host |
//! | `lives` | it outlives the host |
//! | `goes-on` | the host hands it over and exits |
//! | `ends` | the host shuts it down, prints how it ended, and exits |
//! | `leaves` | it leaves its process group |
//! | `starts` | it never prints its handshake line |
//!
//! The plugin that dies or lives is the child of a shell. Where there is no shell, it is the child of the host.
#![expect(clippy::print_stderr, clippy::print_stdout, reason = "the tests read the output")]

use std::{env::args, process::ExitCode, time::Duration};

use rpcplugin::{Command, Host, MagicCookie, host::Event};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let (fate, program) = (args().nth(1).unwrap_or_default(), args().nth(2).unwrap_or_default());
    let cookie = MagicCookie::new("FAULTY_PLUGIN", "cookie").expect("a key and a value");
    let host =
        Host::new(cookie, 1).configure(|config| config.die_with_host = fate != "lives" && fate != "goes-on");
    if fate == "starts" {
        if cfg!(windows) {
            eprintln!("a plugin that prints nothing is a shell script, and Windows has no shell");
            return ExitCode::FAILURE;
        }
        return starts(host).await;
    }
    // The shell has another child in the group, and does not watch the host.
    let shell = Command::new("/bin/sh").args(["-c", "sleep 1000 & \"$0\" healthy & wait", &program]);
    let command = match &*fate {
        "goes-on" => Command::new(program).arg("healthy"),
        "ends" => Command::new(program).arg("healthy"),
        "leaves" => Command::new(program).arg("leaves"),
        _ if cfg!(windows) => Command::new(program).arg("healthy"),
        _ => shell,
    };
    let plugin = match host.launch(command.env("PLUGIN_EXIT_WITH_HOST", "false")).await {
        Ok(plugin) => plugin,
        Err(error) => {
            eprintln!("{error:?}");
            return ExitCode::FAILURE;
        }
    };
    if fate == "goes-on" {
        println!("{}", plugin.hand_over().await.expect("the plugin may outlive this host").to_json());
        return ExitCode::SUCCESS;
    }
    if fate == "ends" {
        println!("{:?}", plugin.shut_down().await);
        return ExitCode::SUCCESS;
    }
    println!("ready");
    std::future::pending().await
}

/// Launches a plugin that prints nothing, and prints `ready` when its watchdog runs.
async fn starts(host: Host) -> ExitCode {
    let host = host.configure(|config| config.still_waiting_interval = Duration::from_millis(5));
    let mut events = host.events();
    tokio::spawn(async move {
        while let Some(event) = events.next().await {
            // The plugin and its watchdog.
            if matches!(event.event, Event::StillWaiting { .. }) && children() == 2 {
                println!("ready");
                break;
            }
        }
    });
    let silent = Command::new("/bin/sh").args(["-c", "sleep 1000 & sleep 1000"]);
    match host.launch(silent).await {
        Ok(_) => eprintln!("the plugin cannot have started"),
        Err(error) => eprintln!("{error:?}"),
    }
    ExitCode::FAILURE
}

/// The number of children of this process, which has one thread.
fn children() -> usize {
    let me = std::process::id();
    let children = std::fs::read_to_string(format!("/proc/{me}/task/{me}/children")).unwrap_or_default();
    children.split_whitespace().count()
}
