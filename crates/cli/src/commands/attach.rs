//! `rpcplugin attach`: attaches to a running plugin.

mod stop;
mod target;

use std::time::Duration;

use clap::{Args, Subcommand};
use miette::IntoDiagnostic as _;
use rpcplugin::{
    AppVersion, Endpoint, Host, MagicCookie, Plugin, Versions,
    host::{AttachError, LaunchFault},
};

use self::{
    stop::stop,
    target::{Choice, Target},
};
use crate::{
    commands::{
        call::{self, MethodArgs, Opened},
        inspect::{self, Facts},
    },
    error::{CommandError, ExitsWith, UsageError},
    exit::Exit,
    plugin_args::TlsFiles,
    schema::{Schema, SchemaArgs},
    ui::{Out, duration, style::good},
};

/// Attaches to a running plugin, shows its properties, and leaves it running.
///
/// A plugin under AutoMTLS serves only its host, and reattach JSON has no key. Attach to the file that
/// `rpcplugin run --handover FILE` writes.
#[derive(Debug, Args)]
#[command(subcommand_value_name = "ACTION", subcommand_help_heading = "Actions")]
pub(crate) struct AttachArgs {
    /// Reattach JSON, a handshake line, a file with one of them, unix:/PATH, or HOST:PORT. The default is the value of
    /// TF_REATTACH_PROVIDERS.
    #[arg(value_name = "PLUGIN", env = "RPCPLUGIN_REATTACH")]
    plugin: Option<String>,
    #[arg(long, env = "TF_REATTACH_PROVIDERS", hide = true)]
    tf_reattach: Option<String>,
    /// Selects a plugin if the JSON has several.
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// The version of the application's protocol, for a plain address.
    #[arg(long, value_name = "N", default_value = "1")]
    app_version: u32,
    #[command(flatten)]
    tls: TlsFiles,
    /// The timeout for connecting.
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration::limit)]
    timeout: Duration,
    /// Shows complete fingerprints.
    #[arg(long)]
    full: bool,
    #[command(flatten)]
    schema: SchemaArgs,
    #[command(subcommand)]
    action: Option<AttachAction>,
}

/// The action. By default the plugin is shown.
#[derive(Debug, Subcommand)]
enum AttachAction {
    /// Calls a method with JSON.
    Call {
        #[command(flatten)]
        method: MethodArgs,
        #[command(flatten)]
        schema: SchemaArgs,
    },
    /// Shuts the plugin down, and kills it if it does not exit. A plugin in test mode is not killed, because its process may be
    /// a test.
    Stop,
}

/// The plugin requires a client certificate, and none was given.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[error("the plugin at {endpoint} requires a client certificate, and none was given")]
#[diagnostic(
    code(rpcplugin::security::attach_without_identity),
    help(
        "for a plugin under AutoMTLS, launch it with `rpcplugin run --handover FILE` and attach to FILE, or launch it with \
         `rpcplugin run --no-mtls`: reattach JSON has no key. For a plugin with its own certificates, use --cert, --key and --ca"
    )
)]
pub(crate) struct WithoutIdentity {
    endpoint: Endpoint,
    source: AttachError,
}

impl ExitsWith for WithoutIdentity {
    const EXIT: Exit = Exit::NotStarted;
}

/// Attaches, and executes the action. The plugin keeps running.
pub(crate) async fn run(args: &AttachArgs, out: &mut Out) -> Result<Exit, CommandError> {
    let Some(target) = args.plugin.as_deref().or(args.tf_reattach.as_deref()) else {
        return Err(UsageError::new(
            "the plugin to attach to is missing",
            "give the reattach JSON or the handshake line that the plugin printed, a file with it, or an address",
        )
        .into());
    };
    let schema = match &args.action {
        Some(AttachAction::Call { schema, .. }) if schema.is_given() => schema,
        _ => &args.schema,
    };
    let files = schema.read()?;
    let opened = match &args.action {
        Some(AttachAction::Call { method, .. }) => Some(Opened::of(method)?),
        _ => None,
    };
    let AttachArgs { name, app_version, tls, .. } = args;
    let choice = Choice { name: name.as_deref(), version: AppVersion(*app_version), tls };
    let plugin = attach(Target::parse(target, &choice)?, args, out).await?;
    match (&args.action, opened) {
        (Some(AttachAction::Call { method, .. }), Some(opened)) => {
            call::calls(opened, files.as_ref(), &plugin, method, out).await
        }
        (Some(AttachAction::Stop), _) => {
            let end = stop(plugin).await?;
            match out.is_json() {
                true => out.json(&serde_json::json!({ "end": end })),
                false => out.line(good(format_args!("the plugin {end}"))),
            }
            Ok(Exit::Ok)
        }
        _ => {
            let schema = Schema::of(files.as_ref(), &plugin.channel()).await;
            let facts = Facts::gather(&plugin, &schema).await;
            inspect::print(&facts, args.full, out);
            Ok(Exit::Ok)
        }
    }
}

async fn attach(target: Target, args: &AttachArgs, out: &Out) -> Result<Plugin, CommandError> {
    let Target { attachment, version, secured } = target;
    let _working = out.working("attaching");
    // A running plugin does not check a cookie.
    let cookie = MagicCookie::new("RPCPLUGIN_ATTACH", "1").into_diagnostic()?;
    let host = Host::new(cookie, Versions::from(version)).configure(|config| {
        config.launch_timeout = args.timeout;
    });
    host.attach(attachment).await.map_err(|error| match error {
        // A server with TLS closes a connection without TLS.
        AttachError::Refused {
            ref endpoint,
            source:
                LaunchFault::Connect(rpcplugin::host::ConnectFault::Unreachable(_))
                | LaunchFault::Connect(rpcplugin::host::ConnectFault::HealthCheckFailed(_)),
        } if !secured => WithoutIdentity { endpoint: endpoint.clone(), source: error }.into(),
        error => error.into(),
    })
}
