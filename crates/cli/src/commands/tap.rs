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
mod mux;
mod only;
mod options;
mod output;
mod passing;
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
    path::{Path, PathBuf},
    sync::Arc,
};

use clap::Args;
use miette::{IntoDiagnostic as _, WrapErr as _};
use rpcplugin::{config::HostConfig, host::ExitReason};

#[cfg(feature = "ui")]
pub(super) use self::http2::{Calls, Found, Sender, What, value};
use self::{
    event::{Kind, Log, Side},
    install::TapAction,
    options::TapOptions,
    output::{Format, Target, Writer},
    passing::{Ended, Tap},
    settings::{Settings, SettingsError},
};
pub(super) use self::{schema::Described, status::is_public};
use crate::{
    error::{CommandError, ExitsWith, UsageError},
    exit::Exit,
    os::{HostExit, PassedSignals},
    stand_in::{Ends, end_as, log},
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
        let unknown = ExitReason::Unknown;
        log.send(None, Side::Plugin, Kind::Exited(unknown)).await;
    }
    writer.end().await;
    match exit? {
        Ended::As(reason) => Ok(end_as(&reason)),
        Ended::Refused(error) => Err(CommandError { exit: Exit::NotStarted, report: (*error).into() }),
    }
}

/// The longest message that is kept to be shown.
const SHOWN: usize = 256 << 10;

/// The longest message of a recording.
const RECORDED: usize = 16 << 20;

impl ExitsWith for SettingsError {
    const EXIT: Exit = Exit::NotStarted;
}
