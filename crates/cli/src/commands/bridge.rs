//! `rpcplugin bridge`: runs a plugin that listens on a Unix socket, and carries its connections over TCP.
//!
//! The bridge is a plugin to its host: it prints the plugin's handshake line with an address of its own, and passes everything else
//! on. It reads no byte of a connection, so that mutual TLS holds between host and plugin.

mod address;
mod carry;
mod install;
mod line;
mod relay;
mod settings;

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    time::Duration,
};

use clap::Args;
use miette::{IntoDiagnostic as _, WrapErr as _};
use rpcplugin::{
    Command, Endpoint,
    config::{ConfigError, HostConfig},
    handshake::{HostEnvFault, variable},
    host::{ChildProcess, LaunchEnvironment, LaunchFault, Runner as _, StartedProcess},
    transport::{BindError, Listener, SocketDir, SocketDirError},
};
use tokio::{io, sync::oneshot, time::timeout};

use self::{
    address::{AnnouncedAddress, ListenAddress, announced_address, listen_address},
    carry::carry,
    install::install,
    line::{Rewritten, rewrite},
    settings::Settings,
};
use super::man::only_text;
use crate::{
    error::{CommandError, ExitsWith},
    exit::Exit,
    os::{self, HostExit, PassedSignals},
    stand_in::{Ends, HandshakeLineHook, PluginExit, end_as, log, pass_on},
    ui::Out,
};

/// Runs a plugin, and carries its connections over TCP: a plugin for hosts on other machines.
///
/// Hosts start this command in the place of the plugin. It passes environment, stdin, output and signals on, and replaces the address
/// in the plugin's handshake line by a TCP address of its own. It decrypts nothing. It ends with the plugin, in the same way: with its
/// exit status, or by the same signal.
#[derive(Debug, Args)]
pub(crate) struct BridgeArgs {
    /// The IP address to listen on, with or without a port, such as 0.0.0.0:7400 or [::]:7400. Without a port it is one from
    /// PLUGIN_MIN_PORT to PLUGIN_MAX_PORT, which hosts set, or any port.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1", value_parser = listen_address)]
    listen: ListenAddress,
    /// The address for hosts to connect to, with or without a port, such as a pod's address. By default it is the address to listen on,
    /// and 127.0.0.1 or [::1] if that is every address.
    #[arg(long, value_name = "ADDRESS", value_parser = announced_address)]
    announce: Option<AnnouncedAddress>,
    /// Copies this program to PATH, and runs no plugin: for the image of an init container, which may have no `cp`.
    #[arg(long, value_name = "PATH", conflicts_with_all = ["program", "listen", "announce"])]
    install: Option<PathBuf>,
    /// The program of the plugin.
    #[arg(value_name = "PLUGIN", required_unless_present = "install")]
    program: Option<PathBuf>,
    /// The arguments of the plugin. Put `--` before arguments that look like flags of this program.
    #[arg(value_name = "ARGS", trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<OsString>,
}

/// Runs the plugin until it exits.
pub(crate) async fn run(args: &BridgeArgs, out: &Out) -> Result<Exit, CommandError> {
    only_text("bridge", out)?;
    let Some(program) = &args.program else {
        if let Some(path) = &args.install {
            install(path)
                .into_diagnostic()
                .wrap_err_with(|| format!("cannot copy this program to {}", path.display()))?;
        }
        return Ok(Exit::Ok);
    };
    // First of all: a host that exits earlier is not the parent any more.
    let host = HostExit::watch();
    let signals = PassedSignals::catch().into_diagnostic()?;
    log("rpcplugin-bridge");
    let settings = Settings::read(&std::env::vars_os().collect())?;
    let listener = listen(args.listen, &settings).await?;
    let address = announced(args, listener.endpoint());
    warn(args.listen, &settings, &address);
    let orphan_timeout = settings.orphan_timeout.clone()?;
    let dir = private_dir(&settings)?;
    let grace = HostConfig::default().orphan_grace;
    let StartedProcess { process: mut plugin, stdout, stderr, .. } =
        start(program, &args.args, dir.path()).await?;
    // Only now: the plugin inherits the limit as it was.
    os::allow_many_descriptors();

    let exit = PluginExit::default();
    let (found, handshake) = oneshot::channel();
    let stdout = tokio::spawn({
        let (exit, expected) = (exit.clone(), hook(address, found));
        async move {
            pass_on(stdout, io::stdout(), Some(expected), &exit).await;
            // A host sees that the plugin has closed its stdout.
            os::close_stdout();
        }
    });
    let stderr = tokio::spawn({
        let exit = exit.clone();
        async move { pass_on(stderr, io::stderr(), None, &exit).await }
    });
    let ends = Ends { signals, host: settings.exit_with_host.then_some(host), orphan_timeout, grace };
    let reason = carry(listener, &mut plugin, handshake, ends, &exit).await;
    let _ = tokio::join!(stdout, stderr);
    drop((plugin, dir));
    // A host may look for processes that its plugin has left.
    let _ = timeout(REAP_TIMEOUT, os::all_children_reaped()).await;
    Ok(end_as(&reason))
}

/// Puts another address into the handshake line. `found` gets the address of the plugin.
fn hook(address: String, found: oneshot::Sender<Endpoint>) -> HandshakeLineHook {
    let mut found = Some(found);
    HandshakeLineHook::new(move |line| {
        let Rewritten { endpoint, line } = rewrite(line, &address)?;
        // Without a receiver the bridge is ending.
        let _ = found.take().map(|found| found.send(endpoint));
        Some(line.into_bytes())
    })
}

async fn listen(address: ListenAddress, settings: &Settings) -> Result<Listener, CommandError> {
    let ports = match address.port {
        Some(port) => port..=port,
        None => settings.ports.clone()?.numbers(),
    };
    Ok(Listener::tcp(address.ip, ports).await?)
}

/// Returns the address for the handshake line.
fn announced(args: &BridgeArgs, listening: &Endpoint) -> String {
    match (&args.announce, listening) {
        (Some(announced), Endpoint::Tcp(listening)) => announced.with_port(listening.port()),
        // A wildcard is the loopback address of its family here.
        _ => listening.address(),
    }
}

/// Warns of what a host on another machine may not expect.
fn warn(listen: ListenAddress, settings: &Settings, address: &str) {
    if listen.ip.is_loopback() {
        return;
    }
    if !settings.multiplex {
        tracing::warn!(
            address,
            "the host does not multiplex: brokered services do not reach a host on another machine; set `multiplex` \
             (PLUGIN_MULTIPLEX_GRPC, in Go GRPCBrokerMultiplex) in the host, or do without the broker"
        );
    }
    if !settings.mutual_tls {
        tracing::warn!(
            address,
            "the host does not ask for AutoMTLS: unless the plugin has certificates of its own, everyone who reaches this address \
             can read and make calls; set `auto_mtls` (in Go AutoMTLS) in the host"
        );
    }
}

/// Starts the plugin. It ends with this process, however this process ends.
async fn start(
    program: &Path,
    args: &[OsString],
    dir: &Path,
) -> Result<StartedProcess<ChildProcess>, CommandError> {
    let sockets = socket_dir(dir).into_diagnostic()?;
    // A bridge that is killed is a last resort: the plugin does not get a grace.
    let mut environment = LaunchEnvironment::new(dir).die_with_host(true).orphan_grace(Duration::ZERO);
    // Only the bridge connects to the plugin's socket. All other variables are inherited.
    environment.handshake_env = vec![
        (variable::UNIX_SOCKET_DIR.to_owned(), Some(sockets.into())),
        (variable::UNIX_SOCKET_GROUP.to_owned(), None),
    ];
    let command = Command::new(program).args(args.iter().cloned());
    Ok(command.start(&environment).await?)
}

/// Makes the directory of this bridge, which is removed with what plugins leave in it. A host on this machine has a directory for sockets.
/// It removes its own and all in it, also if the bridge is killed.
fn private_dir(settings: &Settings) -> Result<SocketDir, SocketDirError> {
    let of_host = settings.socket_dir.as_deref().filter(|dir| dir.is_dir());
    let inside = of_host.and_then(|dir| SocketDir::private_in(dir, None).ok());
    inside.map_or_else(|| SocketDir::private(None), Ok)
}

/// Makes the directory of the plugin's sockets. Its name is in the error of a host on another machine that does not multiplex, and
/// looks for the socket of a brokered service.
fn socket_dir(dir: &Path) -> std::io::Result<PathBuf> {
    let named = dir.join("bridge-needs-multiplexing");
    let longest = named.join("plugin0123456789");
    if longest.to_str().is_some_and(|path| Endpoint::parse("unix", path).is_ok()) {
        std::fs::create_dir(&named)?;
        return Ok(named);
    }
    Ok(dir.to_owned())
}

/// How long the watchdog of the plugin may take to end.
const REAP_TIMEOUT: Duration = Duration::from_secs(1);

impl ExitsWith for ConfigError {
    const EXIT: Exit = Exit::NotStarted;
}

impl ExitsWith for HostEnvFault {
    const EXIT: Exit = Exit::NotStarted;
}

impl ExitsWith for BindError {
    const EXIT: Exit = Exit::NotStarted;
}

impl ExitsWith for SocketDirError {
    const EXIT: Exit = Exit::NotStarted;
}

impl ExitsWith for LaunchFault {
    const EXIT: Exit = Exit::NotStarted;
}
