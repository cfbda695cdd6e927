//! The faulty plugin, its host, and plugins that do not start.

use std::time::{Duration, Instant};

use rpcplugin::{Command, Host, LaunchError, MagicCookie, config::HostConfig, error::PlainReport};

use super::{process_tree::ProcessTree, programs::program};

/// A host of the faulty plugin and of scripts. Its launches fail within seconds.
pub fn host(change: impl FnOnce(&mut HostConfig)) -> Host {
    let cookie = MagicCookie::new("FAULTY_PLUGIN", "cookie").unwrap();
    Host::new(cookie, 1)
        .configure(|config| {
            config.launch_timeout = Duration::from_secs(20);
            config.http2.handshake_timeout = Duration::from_secs(5);
        })
        .configure(change)
}

/// A plugin of this library with this fault.
#[must_use]
pub fn faulty(fault: &str) -> Command {
    Command::new(program("faulty-plugin")).arg(fault)
}

/// Launches a plugin that cannot start. The launch must fail within this time, and leave no process behind.
pub async fn refused(host: &Host, command: Command, within: Duration) -> LaunchError {
    let tree = ProcessTree::new();
    let begun = Instant::now();
    let error = match host.launch(tree.mark(command)).await {
        Err(error) => error,
        Ok(plugin) => panic!("the plugin started: {plugin:?}"),
    };
    let took = begun.elapsed();
    assert!(took < within, "the launch failed after {took:?}: {error:?}");
    tree.dies_out().await;
    error
}

/// The error as a program prints it before it exits. The test fails unless it contains all `parts`.
#[track_caller]
pub fn shows(error: &LaunchError, parts: &[&str]) -> String {
    let text = PlainReport(error).to_string();
    for part in parts {
        assert!(text.contains(part), "{part:?} is missing in:\n{text}");
    }
    text
}
