//! The second step: read the handshake line and decide what it means.

use std::sync::Arc;

use rpcplugin_broker::Translate;
use rpcplugin_config::TransportKind;
use rpcplugin_core::Endpoint;
use rpcplugin_handshake::{HandshakeLine, HandshakeLineFault, Multiplexing, accept_version};
use rpcplugin_transport::{Dialer, InheritedConnection, Security, SocketDir, speaks_tls};
use tokio::{
    io::AsyncRead,
    time::{Instant, sleep, timeout, timeout_at},
};

use super::{
    context::{Launch, stopped},
    failure::fail,
    spawn::Spawned,
};
use crate::{
    connection::{route::Route, security::HostSecurity},
    error::{HandshakeFault, LaunchError, LaunchFault, SecurityFault},
    exit::ExitReason,
    plugin::{LaunchTimings, StdinWriter},
    process::{owner::ProcessHandle, runner::Runner, socket_cleanup::AnnouncedSocket},
    streams::{
        handshake_line::{NoLine, first_line},
        stdout_drain,
    },
};

/// A plugin that has printed its handshake line.
pub(super) struct Greeted {
    pub(super) process: ProcessHandle,
    pub(super) stdin: Option<StdinWriter>,
    pub(super) handshake_line: HandshakeLine,
    /// The endpoint that this host dials: the announced one, translated.
    pub(super) endpoint: Endpoint,
    pub(super) timings: LaunchTimings,
    pub(super) security: Security,
    pub(super) sockets: SocketDir,
    pub(super) route: Route,
    /// The connection that the plugin has taken.
    pub(super) inherited: Option<InheritedConnection>,
}

type Stdout = Box<dyn AsyncRead + Send + Unpin>;

/// Waits for the handshake line and decides what it means.
pub(super) async fn greet<R: Runner>(
    launch: &Launch<'_, R>,
    spawned: Spawned,
) -> Result<Greeted, LaunchError> {
    let Spawned {
        process,
        mut stdout,
        stdin,
        host_security,
        sockets,
        mut route,
        offered,
        before_start,
        took,
    } = spawned;
    let waiting = Instant::now();
    let mut read = Vec::new();
    let line = wait_for_line(launch, &process, &mut stdout, &mut read).await;
    let dialled = |announced: &Endpoint| -> Result<_, HandshakeFault> {
        let endpoint = dialled(route.translate.as_deref(), announced)?;
        if let Endpoint::Unix(path) = &endpoint {
            process.remove_socket(AnnouncedSocket::new(path.clone(), before_start));
        }
        Ok(endpoint)
    };
    if let Err(HandshakeFault::InvalidLine(error)) = &line {
        let _ = error.endpoint().map(dialled);
    }
    let mut reached = None;
    let decided = line.map_err(LaunchFault::from).and_then(|line| {
        let endpoint = dialled(&line.endpoint);
        reached = endpoint.as_ref().ok().cloned();
        let security = decide(launch, &line, offered.is_some(), host_security)?;
        Ok((line, endpoint?, security))
    });
    let (handshake_line, endpoint, security) = match decided {
        Ok(decided) => decided,
        Err(fault) => {
            let lines = read.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
            lines.take(MOST_STRAY).for_each(|line| launch.keep_stray_line(line));
            let fault = match (fault, &reached) {
                // The plugin sent no certificate, and its socket speaks TLS all the same.
                (LaunchFault::Security(SecurityFault::IgnoredMtls), Some(endpoint))
                    if speaks_tls(&route.dialer, endpoint).await =>
                {
                    SecurityFault::OwnCertificates.into()
                }
                (fault, _) => fault,
            };
            return Err(fail(launch, fault, process).await);
        }
    };
    // Dropped if the plugin has not taken it.
    let inherited = offered.filter(|_| matches!(endpoint, Endpoint::Inherited(_)));
    if let Some(connection) = &inherited {
        route = Route { translate: None, dialer: Dialer::new(connection.clone()) };
    }
    let timings =
        LaunchTimings { process: Some(took), handshake: Some(waiting.elapsed()), ..LaunchTimings::default() };
    let version = handshake_line.version;
    launch.span.record("plugin.version", version.0).record("endpoint", tracing::field::display(&endpoint));
    tracing::debug!(mutual = security.is_mutual(), "plugin printed its handshake line");
    process.read_output(launch.task(stdout_drain::drain(stdout, read, Arc::clone(&launch.fan_out))));
    Ok(Greeted { process, stdin, handshake_line, endpoint, timings, security, sockets, route, inherited })
}

/// Waits for the handshake line, the exit of the process, or the end of the timeout.
async fn wait_for_line<R: Runner>(
    launch: &Launch<'_, R>,
    process: &ProcessHandle,
    stdout: &mut Stdout,
    read: &mut Vec<u8>,
) -> Result<HandshakeLine, HandshakeFault> {
    tokio::select! {
        line = timeout_at(launch.deadline, read_line(launch, stdout, read, process)) => {
            line.unwrap_or_else(|_| Err(stopped(process).unwrap_or(HandshakeFault::Timeout(launch.timeout))))
        }
        reason = exited_and_drained(launch, process) => Err(HandshakeFault::ExitedEarly(reason)),
        never = launch.report_waiting(process) => match never {},
    }
}

/// Resolves when the process has exited and the drain timeout is over. A process that the plugin left behind may hold
/// its stdout open indefinitely.
async fn exited_and_drained<R>(launch: &Launch<'_, R>, process: &ProcessHandle) -> ExitReason {
    let reason = process.exited().await;
    sleep(launch.host.config.drain_timeout).await;
    reason
}

/// The handshake line. What comes after it, or in its place, stays in `read`.
async fn read_line<R>(
    launch: &Launch<'_, R>,
    stdout: &mut Stdout,
    read: &mut Vec<u8>,
    process: &ProcessHandle,
) -> Result<HandshakeLine, HandshakeFault> {
    let limit = launch.host.config.handshake_line_limit.as_usize();
    loop {
        let (line, is_last) = match first_line(stdout, read, limit).await {
            Ok(line) => (line, false),
            // The last line may have no line break.
            Err(NoLine::Ended) if !read.is_empty() => (std::mem::take(read), true),
            Err(NoLine::Ended) => return Err(stdout_ended(launch, process).await),
            Err(NoLine::TooLong) => {
                let start = String::from_utf8_lossy(&read[..read.len().min(80)]).into_owned();
                read.clear();
                return Err(HandshakeFault::LineTooLong { start });
            }
            Err(NoLine::Failed(error)) => return Err(HandshakeFault::Stdout(error)),
        };
        match HandshakeLine::parse(&String::from_utf8_lossy(&line)) {
            Ok(line) => return Ok(line),
            // Only a line without any likeness to a handshake line can be a banner. A malformed handshake line is final.
            Err(error)
                if error.fault == HandshakeLineFault::NotAHandshakeLine
                    && (is_last || launch.may_skip_line()) =>
            {
                launch.keep_stray_line(&line);
                if is_last && !launch.may_skip_line() {
                    return Err(error.into());
                }
            }
            // A line that breaks off in the middle is that of a plugin that has exited.
            Err(_) if is_last => {
                launch.keep_stray_line(&line);
                return Err(stdout_ended(launch, process).await);
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// The fault of a plugin whose stdout has ended. Most often the process has exited too.
async fn stdout_ended<R>(launch: &Launch<'_, R>, process: &ProcessHandle) -> HandshakeFault {
    let exit = timeout(launch.host.config.drain_timeout, process.exited()).await;
    exit.map_or(HandshakeFault::StdoutClosed, HandshakeFault::ExitedEarly)
}

/// The endpoint that this host dials for the one that the plugin announced.
fn dialled(translate: Option<&dyn Translate>, announced: &Endpoint) -> Result<Endpoint, HandshakeFault> {
    match (translate, announced) {
        (None, _) | (_, Endpoint::Inherited(_)) => Ok(announced.clone()),
        (Some(translate), _) => translate
            .dial_as(announced)
            .map_err(|source| HandshakeFault::Translate { endpoint: announced.clone(), source }),
    }
}

/// Decides whether this host accepts the handshake line, and how the connection is secured.
fn decide<R>(
    launch: &Launch<'_, R>,
    line: &HandshakeLine,
    offered: bool,
    host_security: HostSecurity,
) -> Result<Security, LaunchFault> {
    accept_version(line.version, &launch.host.versions).map_err(HandshakeFault::from)?;
    let inherited = matches!(line.endpoint, Endpoint::Inherited(_));
    let allowed = if inherited { offered } else { allows(&launch.host.config.transports, &line.endpoint) };
    if !allowed {
        return Err(HandshakeFault::Transport { endpoint: line.endpoint.clone() }.into());
    }
    // All connections share an inherited one anyway.
    if launch.host.config.multiplex && !inherited && line.multiplexing != Multiplexing::Yes {
        return Err(HandshakeFault::NoMultiplexing.into());
    }
    Ok(host_security.decide(line.certificate.as_deref(), inherited)?)
}

/// Whether plugins may listen on an endpoint of this kind.
fn allows(transports: &[TransportKind], endpoint: &Endpoint) -> bool {
    let kind = match endpoint {
        Endpoint::Unix(_) => TransportKind::Unix,
        _ => TransportKind::Tcp,
    };
    transports.contains(&kind)
}

/// The largest number of lines kept from output that stands in place of a handshake line.
const MOST_STRAY: usize = 10;
