//! Launches, and what is left after the end of a plugin.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, atomic::Ordering::Relaxed},
    time::{Duration, Instant},
};

use miette::Diagnostic as _;
use rpcplugin::{Command, Host, Plugin, Versions, config::HostTls, error::PlainReport, host::Stdin};
use tokio::time::sleep;

use crate::{
    contract,
    soak::{
        plan::{Language, Mode},
        world::{GONE, Output, World},
    },
    support::{process::running_group, wait::holds_within},
};

/// The host of plugins with this mode.
pub(crate) fn host(world: &Arc<World>, mode: Mode) -> Host {
    let versions = Versions::new(contract::VERSIONS).expect("three versions");
    Host::new(contract::cookie(), versions).observe(Output(Arc::clone(world))).configure(|config| {
        config.tls = if mode.auto_mtls { HostTls::AUTO } else { HostTls::Plaintext };
        config.multiplex = mode.mux;
        config.lane = mode.lane;
        config.inherit_connection = mode.inherit;
        config.print_logs = false;
        config.unix_socket_dir = Some(world.sockets.clone());
    })
}

/// The plugin in this language.
pub(crate) fn command(world: &World, language: Language) -> Command {
    let program = world.program(language);
    let mut command = Command::new(&program[0]).stdin(Stdin::Null).args(&program[1..]);
    if language == Language::Rust {
        command = command.args(["--log-level", "info"]);
    }
    command
}

/// Launches a plugin, which must succeed unless the host lacks something.
pub(crate) async fn launch(world: &Arc<World>, who: &str, host: &Host, language: Language) -> Option<Plugin> {
    let since = world.weather();
    match host.launch(command(world, language)).await {
        Ok(plugin) => {
            world.counts.launches.fetch_add(1, Relaxed);
            Some(plugin)
        }
        Err(error) => {
            world.counts.code(error.fault.code().map(|code| code.to_string()).unwrap_or_default());
            if world.was_calm(since) {
                world.broken(who, format_args!("the launch failed without a fault: {}", PlainReport(&error)));
            }
            // Other slots try again too.
            sleep(Duration::from_millis(100)).await;
            None
        }
    }
}

/// A launch that has to fail, because the host lacks something.
pub(crate) async fn refused(world: &World, who: &str, host: &Host, language: Language) -> Option<Plugin> {
    let begun = Instant::now();
    match host.launch(command(world, language)).await {
        Ok(plugin) => Some(plugin),
        Err(error) => {
            let code = error.fault.code().map(|code| code.to_string());
            world.counts.refused(begun.elapsed());
            if code.is_none() || begun.elapsed() > REFUSED {
                let after = begun.elapsed();
                world.broken(who, format_args!("after {after:?} the launch failed: {}", PlainReport(&error)));
            }
            world.counts.code(code.unwrap_or_default());
            None
        }
    }
}

/// The longest that a launch may take to fail.
const REFUSED: Duration = Duration::from_secs(70);

/// Waits until no process of the plugin's group runs.
pub(crate) async fn group_is_gone(world: &World, who: &str, pid: u32) {
    if !holds_within(GONE, || running_group(pid).is_empty()).await {
        world.broken(who, format_args!("of the group of {pid} there still runs {:?}", running_group(pid)));
    }
}

/// The files and sockets below a directory.
pub(crate) fn files(directory: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(directory) else { return Vec::new() };
    let below = |path: PathBuf| [vec![path.clone()], files(&path)].concat();
    entries.flatten().flat_map(|entry| below(entry.path())).collect()
}
