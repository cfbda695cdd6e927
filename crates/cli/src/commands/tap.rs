//! `rpcplugin tap`: stands between a host and its plugin, passes everything on, and shows it.
//!
//! The tap is the plugin to its host and the host to its plugin. Under AutoMTLS it has an ephemeral identity for each of them. The bytes
//! inside of TLS pass as they are, and what is shown is read from them: no message is encoded again. The only bytes that change are the
//! addresses in the handshake line and in the broker's messages.

mod broker;
mod conn_info;
mod context;
mod dir;
mod direct;
mod event;
mod given;
mod handshake;
mod http2;
mod install;
mod json;
mod msgpack;
mod mux;
mod only;
mod options;
mod output;
mod reflection;
mod relay;
mod schema;
mod serve;
mod settings;
mod status;
mod tasks;
mod text;

use std::{
    ffi::OsString,
    future::pending,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use clap::Args;
use miette::{IntoDiagnostic as _, WrapErr as _};
use rpcplugin::{
    Command,
    config::{HostConfig, TcpPorts},
    handshake::HandshakeLineError,
    host::{ChildProcess, LaunchEnvironment, PluginProcess as _, Runner as _, StartedProcess},
    tls::Identity,
    transport::{Listener, SocketDir},
};
use tempfile::TempDir;
use tokio::{
    io,
    sync::{oneshot, watch},
    time::timeout,
};

use self::{
    context::{Context, TwoSided},
    event::{Kind, Log, Side},
    handshake::{Announced, ForHost, Identities, announced},
    install::TapAction,
    options::TapOptions,
    output::{Format, Target, Writer},
    serve::serve,
    settings::{Settings, SettingsError, for_plugin},
    tasks::Tasks,
};
pub(super) use self::{schema::Described, status::is_public};
use crate::{
    error::{CommandError, ExitsWith, UsageError},
    exit::Exit,
    os::{self, HostExit, PassedSignals},
    schema::GivenFiles,
    stand_in::{Ends, HandshakeLineHook, PluginExit, end_as, log, pass_on, until_exit},
    ui::Out,
};

/// Stands between a host and its plugin, and shows what they say to each other.
///
/// Hosts start this command in the place of the plugin. It starts the plugin, ends AutoMTLS on both sides with certificates of its own, and
/// passes everything on: calls, metadata, statuses, brokered connections, output, signals and the exit status. Each event becomes a line of
/// a file: stdout belongs to the handshake, and stderr to the host's log. Texts, bytes and metadata may be secrets, and only their lengths
/// are shown without --show-values.
#[derive(Debug, Args)]
#[command(subcommand_negates_reqs = true)]
pub(crate) struct TapArgs {
    #[command(subcommand)]
    action: Option<TapAction>,
    #[command(flatten)]
    options: TapOptions,
    /// The program of the plugin. Put `--` before a program with the name of a command below.
    #[arg(value_name = "PLUGIN", required = true)]
    program: Option<PathBuf>,
    /// The arguments of the plugin. Put `--` before arguments that look like flags of this program.
    #[arg(value_name = "ARGS", trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<OsString>,
}

/// Runs the plugin until it exits.
pub(crate) async fn run(args: &TapArgs, out: &mut Out) -> Result<Exit, CommandError> {
    match (&args.action, &args.program) {
        (Some(_), _) if args.program.is_some() || args.options.is_given() => {
            let help = "write them behind the command, or `--` before a plugin";
            Err(UsageError::new("options and a plugin do not belong before `install` and `uninstall`", help)
                .into())
        }
        (Some(action), _) => install::run(action, out),
        (None, Some(program)) => match Box::pin(tap(program, args, out)).await {
            // The host reads stdout.
            Err(CommandError { exit, report }) if out.is_json() => {
                out.report_on_stderr(&*report);
                Ok(exit)
            }
            ended => ended,
        },
        // The grammar requires one of the two.
        (None, None) => Ok(Exit::Usage),
    }
}

async fn tap(program: &Path, args: &TapArgs, out: &Out) -> Result<Exit, CommandError> {
    // First of all: a host that exits earlier is not the parent any more.
    let host = HostExit::watch();
    let signals = PassedSignals::catch().into_diagnostic()?;
    log("rpcplugin-tap");
    let settings = Settings::read(&std::env::vars_os().collect())?;
    let certificates = args.options.certificates.read()?;
    let given = args.options.schema.read()?.map(Arc::new);
    let options = &args.options;
    let target = Target::open(options.output.as_deref(), program, out.is_json());
    let target = target.into_diagnostic().wrap_err("the output of the tap cannot be opened")?;
    tracing::info!(path = %target.path.display(), "the tap writes what host and plugin say to a file");
    let dir = dir::private_dir(settings.socket_dir.as_deref())
        .into_diagnostic()
        .wrap_err("no directory for sockets can be made")?;
    let tap = Tap::prepare(&settings, certificates, dir).await?;
    let only = options.only.clone();
    let format = Format { json: out.is_json(), values: options.show_values, encoded: false, only };
    let mut targets = vec![(target, format)];
    if let Some(path) = &options.record {
        let record = Target::record(path).into_diagnostic().wrap_err("the recording cannot be opened")?;
        targets.push((record, Format::of_record()));
    }
    let kept = if options.record.is_some() { RECORDED } else { SHOWN };
    let (log, events, lost) = Log::new();
    let writer = Writer::start(targets, events, lost);

    let grace = HostConfig::default().orphan_grace;
    let orphan_timeout = settings.orphan_timeout;
    let ends = Ends { signals, host: settings.exit_with_host.then_some(host), orphan_timeout, grace };
    let exit = tap.pass((program, &args.args), ends, &log, (given, kept)).await;
    if exit.is_err() {
        // The last event of every run.
        let unknown = rpcplugin::host::ExitReason::Unknown;
        log.send(None, Side::Plugin, Kind::Exited(unknown)).await;
    }
    writer.end().await;
    match exit? {
        Ended::As(reason) => Ok(end_as(&reason)),
        Ended::Refused(error) => Err(CommandError { exit: Exit::NotStarted, report: (*error).into() }),
    }
}

/// What is there before the plugin is started.
struct Tap {
    dir: TempDir,
    listener: Listener,
    for_host: ForHost,
}

/// The end of the plugin.
enum Ended {
    As(rpcplugin::host::ExitReason),
    /// The plugin speaks a protocol that this program does not.
    Refused(Box<HandshakeLineError>),
}

impl Tap {
    async fn prepare(
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
    async fn pass(
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

/// The longest message that is kept to be shown.
const SHOWN: usize = 256 << 10;

/// The longest message of a recording.
const RECORDED: usize = 16 << 20;

/// The longest time for all connections to end when the plugin has exited.
const DELIVERY: Duration = Duration::from_secs(30);

/// How long the watchdog of the plugin may take to end.
const REAP_TIMEOUT: Duration = Duration::from_secs(1);

impl ExitsWith for SettingsError {
    const EXIT: Exit = Exit::NotStarted;
}
