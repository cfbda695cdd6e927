//! A host that is going to be killed, for tests of what becomes of its plugin: starts the program named by its second
//! argument, says so, and waits for its end. Its first argument is what becomes of the plugin: `dies`, `lives`,
//! `goes-on`, which hands it over and ends, `ends`, which stops
//! it and says how it ended, `leaves`, whose plugin leaves its group, or `starts`, which never comes to an
//! answer.
#![expect(clippy::print_stderr, clippy::print_stdout, reason = "its output is what the tests look at")]

use std::{env::args, process::ExitCode, time::Duration};

use rpcplugin::{Command, Host, MagicCookie, host::Event};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let (fate, program) = (args().nth(1).unwrap_or_default(), args().nth(2).unwrap_or_default());
    let cookie = MagicCookie::new("FAULTY_PLUGIN", "cookie").expect("a key and a value");
    let host =
        Host::new(cookie, 1).configure(|config| config.die_with_host = fate != "lives" && fate != "goes-on");
    if fate == "starts" {
        return starts(host).await;
    }
    // The shell has a child of its own in the group, and is no plugin that watches its host.
    let shell = Command::new("/bin/sh").args(["-c", "sleep 1000 & \"$0\" healthy & wait", &program]);
    let command = match &*fate {
        "goes-on" => Command::new(program).arg("healthy"),
        "ends" => Command::new(program).arg("healthy"),
        "leaves" => Command::new(program).arg("leaves"),
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
        println!("{}", plugin.hand_over().await.expect("it may go on").to_json());
        return ExitCode::SUCCESS;
    }
    if fate == "ends" {
        println!("{:?}", plugin.shut_down().await);
        return ExitCode::SUCCESS;
    }
    println!("ready");
    std::future::pending().await
}

/// Launches what never answers, and says so when it is guarded.
async fn starts(host: Host) -> ExitCode {
    let host = host.configure(|config| config.still_waiting_interval = Duration::from_millis(5));
    let mut events = host.events();
    tokio::spawn(async move {
        while let Some(event) = events.next().await {
            // The plugin and its guard. When that comes is the library's own affair.
            if matches!(event.event, Event::StillWaiting { .. }) && children() == 2 {
                println!("ready");
                break;
            }
        }
    });
    let silent = Command::new("/bin/sh").args(["-c", "sleep 1000 & sleep 1000"]);
    match host.launch(silent).await {
        Ok(_) => eprintln!("nobody can have answered"),
        Err(error) => eprintln!("{error:?}"),
    }
    ExitCode::FAILURE
}

/// How many processes the only thread of this one has started.
fn children() -> usize {
    let me = std::process::id();
    let children = std::fs::read_to_string(format!("/proc/{me}/task/{me}/children")).unwrap_or_default();
    children.split_whitespace().count()
}
