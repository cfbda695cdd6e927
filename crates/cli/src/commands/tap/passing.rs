//! The life of a tap, from what it needs before the start of its plugin to the plugin's exit.

use std::{
    ffi::OsString,
    future::pending,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use miette::IntoDiagnostic as _;
use rpcplugin::{
    Command,
    config::TcpPorts,
    handshake::HandshakeLineError,
    host::{ChildProcess, ExitReason, LaunchEnvironment, PluginProcess as _, Runner as _, StartedProcess},
    tls::Identity,
    transport::{Listener, SocketDir},
};
use tempfile::TempDir;
use tokio::{
    io,
    sync::{oneshot, watch},
    time::timeout,
};

use super::{
    context::{Context, TwoSided},
    event::{Kind, Log, Side},
    handshake::{Announced, ForHost, Identities, announced},
    serve::serve,
    settings::{Settings, for_plugin},
    tasks::Tasks,
};
use crate::{
    error::CommandError,
    os,
    schema::GivenFiles,
    stand_in::{Ends, HandshakeLineHook, PluginExit, pass_on, until_exit},
};

/// What is there before the plugin is started.
pub(super) struct Tap {
    dir: TempDir,
    listener: Listener,
    for_host: ForHost,
}

/// The end of the plugin.
pub(super) enum Ended {
    As(ExitReason),
    /// The plugin speaks a protocol that this program does not.
    Refused(Box<HandshakeLineError>),
}

impl Tap {
    pub(super) async fn prepare(
        settings: &Settings,
        given: Option<TwoSided>,
        dir: TempDir,
    ) -> Result<Self, CommandError> {
        let sockets = SocketDir::given(dir.path(), None).into_diagnostic()?;
        let listener = match Listener::unix_in(&sockets) {
            Ok(listener) => listener,
            // There are no Unix sockets on Windows.
            Err(_) => Listener::tcp([127, 0, 0, 1].into(), TcpPorts::Any.numbers()).await?,
        };
        let identities = match &settings.client_certificate {
            None => None,
            Some(of_host) => Some(Identities {
                of_host: of_host.clone(),
                for_host: Identity::generate().into_diagnostic()?,
                for_plugin: Identity::generate().into_diagnostic()?,
            }),
        };
        let endpoint = listener.endpoint().clone();
        let for_host = ForHost { endpoint, multiplex: settings.multiplex, identities, given };
        Ok(Self { dir, listener, for_host })
    }

    /// Starts the plugin, and passes everything on until it has exited.
    pub(super) async fn pass(
        self,
        (program, args): (&Path, &[OsString]),
        ends: Ends,
        log: &Log,
        (given, kept): (Option<Arc<GivenFiles>>, usize),
    ) -> Result<Ended, CommandError> {
        let Self { dir, listener, for_host } = self;
        let identity = for_host.identities.as_ref().map(|identities| &identities.for_plugin);
        let StartedProcess { process: mut plugin, stdout, stderr, .. } =
            start(program, args, dir.path(), identity).await?;
        // Only now: the plugin inherits the limit as it was.
        os::allow_many_descriptors();
        let started = Kind::Started {
            program: program.display().to_string(),
            args: args.iter().map(|arg| arg.to_string_lossy().into_owned()).collect(),
            pid: plugin.pid().map(|pid| pid.get()),
        };
        log.send(None, Side::Host, started).await;

        let exit = PluginExit::default();
        let (found, handshake) = oneshot::channel();
        let stdout = tokio::spawn({
            let (exit, hook) = (exit.clone(), hook(for_host, found));
            async move {
                pass_on(stdout, io::stdout(), Some(hook), &exit).await;
                // A host sees that the plugin has closed its stdout.
                os::close_stdout();
            }
        });
        let stderr = tokio::spawn({
            let exit = exit.clone();
            async move { pass_on(stderr, io::stderr(), None, &exit).await }
        });
        let (hosts, counted) = watch::channel(0_usize);
        let (connections, listeners) = (Tasks::default(), Tasks::default());
        let refused = Mutex::new(None);
        let serving = async {
            let Announced { version, endpoint, multiplexed, security, kind } = match handshake.await {
                Ok(Ok(announced)) => announced,
                Ok(Err(error)) => {
                    *refused.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                    return;
                }
                // The plugin has closed its stdout, and will exit.
                Err(_) => return pending().await,
            };
            let handshake =
                Kind::Handshake { version, endpoint: endpoint.clone(), security: kind, multiplexed };
            log.send(None, Side::Plugin, handshake).await;
            let context = Context {
                log: log.clone(),
                exit: exit.clone(),
                hosts: hosts.clone(),
                security: Arc::new(security),
                kept,
                dir: Arc::new(dir.path().to_owned()),
                connections: connections.clone(),
                listeners: listeners.clone(),
            };
            serve(listener, endpoint, multiplexed, context, given).await;
        };
        let reason = until_exit(&mut plugin, ends, counted, Box::pin(serving)).await;
        listeners.abort();
        exit.has_come();
        // A host that sends without a pause does not keep this program running.
        let _ = timeout(DELIVERY, connections.end()).await;
        let _ = tokio::join!(stdout, stderr);
        log.send(None, Side::Plugin, Kind::Exited(reason.clone())).await;
        drop((plugin, dir));
        // A host may look for processes that its plugin has left.
        let _ = timeout(REAP_TIMEOUT, os::all_children_reaped()).await;
        Ok(match refused.into_inner().unwrap_or_else(PoisonError::into_inner) {
            Some(error) => Ended::Refused(Box::new(error)),
            None => Ended::As(reason),
        })
    }
}

/// Puts the address and the certificate of this program into the handshake line.
fn hook(
    for_host: ForHost,
    found: oneshot::Sender<Result<Announced, HandshakeLineError>>,
) -> HandshakeLineHook {
    let mut found = Some(found);
    HandshakeLineHook::new(move |line| {
        let (result, line) = match announced(line, &for_host)? {
            Ok((announced, line)) => (Ok(announced), line.into_bytes()),
            // The host gets no line, and with it no address that would pass this program by.
            Err(error) => (Err(error), Vec::new()),
        };
        // Without a receiver the tap is ending.
        if let Some(found) = found.take() {
            let _ = found.send(result);
        }
        Some(line)
    })
}

/// Starts the plugin. It ends with this process, however this process ends, and the directory is removed then.
async fn start(
    program: &Path,
    args: &[OsString],
    dir: &Path,
    identity: Option<&Identity>,
) -> Result<StartedProcess<ChildProcess>, CommandError> {
    // A tap that is killed is a last resort: the plugin does not get a grace.
    let mut environment = LaunchEnvironment::new(dir).die_with_host(true).orphan_grace(Duration::ZERO);
    environment.handshake_env = for_plugin(dir.to_owned(), identity);
    let command = Command::new(program).args(args.iter().cloned());
    Ok(command.start(&environment).await?)
}

/// The longest time for all connections to end when the plugin has exited.
const DELIVERY: Duration = Duration::from_secs(30);

/// How long the watchdog of the plugin may take to end.
const REAP_TIMEOUT: Duration = Duration::from_secs(1);
