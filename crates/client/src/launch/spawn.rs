//! The first step: start the process.

use std::{sync::Arc, time::Duration};

use rpcplugin_config::HostConfig;
use rpcplugin_core::Pid;
use rpcplugin_handshake::{HostEnv, variable};
use rpcplugin_transport::{InheritedConnection, SocketDir, SocketDirError};
use tokio::{io::AsyncRead, time::timeout_at};

use super::context::Launch;
use crate::{
    connection::{route::Route, security::HostSecurity, socket_dir},
    error::{LaunchFault, SetupFault, StartFault},
    host::Host,
    observe::event::Event,
    os::FileTime,
    plugin::StdinWriter,
    process::{
        owner::{OnDrop, ProcessHandle},
        runner::{LaunchEnvironment, PluginProcess as _, Runner, StartedProcess},
        socket_cleanup::change_time,
    },
    streams::stderr_log,
};

/// A process that runs and has not printed its handshake line.
pub(super) struct Spawned {
    pub(super) process: ProcessHandle,
    pub(super) stdout: Box<dyn AsyncRead + Send + Unpin>,
    pub(super) stdin: Option<StdinWriter>,
    pub(super) host_security: HostSecurity,
    pub(super) sockets: SocketDir,
    pub(super) route: Route,
    /// The connection that was offered to the plugin.
    pub(super) offered: Option<InheritedConnection>,
    /// A time before the start of the process, by the clock of the file system.
    pub(super) before_start: FileTime,
    /// The time that the start took.
    pub(super) took: Duration,
}

/// Starts the process with the handshake's variables in its environment, and reads its stderr from now on.
pub(super) async fn spawn<R: Runner>(launch: &Launch<'_, R>) -> Result<Spawned, LaunchFault> {
    let config = &launch.host.config;
    config.check().map_err(SetupFault::from)?;
    let host_security = HostSecurity::prepare(config)?;
    // Late: if the host is killed before the start of the process, the directory is left for the next host to remove.
    let sockets = socket_dir::private(config).map_err(SetupFault::from)?;
    let before_start = change_time(sockets.path())
        .map_err(|source| SocketDirError::Create { parent: sockets.path().to_owned(), source })
        .map_err(SetupFault::from)?;
    let environment = environment(launch.host, &host_security, &sockets);
    let starting = timeout_at(launch.deadline, launch.runner.start(&environment));
    let started = starting.await.unwrap_or(Err(StartFault::Timeout(launch.timeout).into()))?;
    #[cfg(feature = "sandbox")]
    if let Some(confinement) = started.confinement.clone() {
        report_confinement(launch, confinement);
    }
    let StartedProcess { process, stdout, stderr, stdin, translate, dialer, offered, .. } = started;
    if let Some(pid) = process.pid() {
        sockets.add_owner(pid.get());
    }
    launch.fan_out.event(Event::Started { pid: process.pid() });
    let process =
        ProcessHandle::own(process, OnDrop::Kill, config.drain_timeout, &launch.fan_out, &launch.span);
    process.remove_dir(&sockets);
    launch.span.record("plugin.pid", process.pid().map(Pid::get));
    tracing::debug!(plugin.id = process.id(), "plugin started");
    let max_line = config.log_line_limit.as_usize();
    let (tail, fan_out) = (Arc::clone(&launch.stderr_tail), Arc::clone(&launch.fan_out));
    let log = stderr_log::read_log(stderr, max_line, config.print_logs, tail, fan_out);
    process.read_output(launch.task(log));
    let took = launch.started.elapsed();
    let route = Route { translate, dialer };
    Ok(Spawned { process, stdout, stdin, host_security, sockets, route, offered, before_start, took })
}

/// Reports what is enforced on the process. A layer that is missing is a warning.
#[cfg(feature = "sandbox")]
fn report_confinement<R>(launch: &Launch<'_, R>, confinement: rpcplugin_sandbox::Confinement) {
    if confinement.is_full() {
        tracing::debug!(plugin = launch.name, %confinement, "the plugin is confined");
    } else {
        tracing::warn!(plugin = launch.name, %confinement, "the plugin is confined in part only");
    }
    launch.fan_out.event(Event::Confined(confinement.clone()));
    // Each attempt has a context of its own, and starts one process.
    let _ = launch.confinement.set(confinement);
}

fn environment(host: &Host, security: &HostSecurity, sockets: &SocketDir) -> LaunchEnvironment {
    let config: &HostConfig = &host.config;
    let client_certificate = security.certificate_for_plugin();
    let host_env = HostEnv {
        versions: host.versions.clone(),
        ports: config.tcp_ports,
        client_certificate,
        multiplex: config.multiplex,
        socket_dir: Some(sockets.path().to_owned()),
        socket_group: config.unix_socket_group.clone(),
    };
    let mut handshake_env = host_env.to_env(&host.cookie);
    if !config.die_with_host {
        // A plugin made with this library watches its host by itself.
        handshake_env.insert(0, (EXIT_WITH_HOST.to_owned(), Some("false".into())));
    }
    // A child process notices the exit of its host. What this host may have inherited is not meant for its plugins.
    handshake_env.insert(0, (variable::ORPHAN_TIMEOUT.to_owned(), None));
    handshake_env.insert(0, (variable::STDOUT_CONNECTION.to_owned(), None));
    handshake_env.insert(0, (variable::HOST_LANE.to_owned(), None));
    LaunchEnvironment {
        handshake_env,
        inherit: config.inherit_env.clone(),
        socket_dir: sockets.path().to_owned(),
        die_with_host: config.die_with_host,
        orphan_grace: config.orphan_grace,
        orphan_timeout: if config.die_with_host { config.orphan_timeout } else { Duration::ZERO },
        busy_timeout: config.busy_timeout,
        // A plugin that outlives this host needs an endpoint that the next host can reach.
        inherit_connection: config.inherit_connection && config.die_with_host && security.needs_no_identity(),
        lane: config.lane,
    }
}

/// The plugin's setting `exit_with_host`.
const EXIT_WITH_HOST: &str = "PLUGIN_EXIT_WITH_HOST";
