//! `rpcplugin attach`: attaches to a running plugin.

mod stop;

use std::time::Duration;

use clap::{Args, Subcommand};
use miette::IntoDiagnostic as _;
use rpcplugin::{
    AppVersion, Endpoint, Host, MagicCookie, Plugin, Versions,
    handshake::{ReattachConfig, ReattachConfigs, ReattachError},
    host::{AttachError, Attachment, Handover, HandoverError, LaunchFault},
    tls::TlsError,
};
use serde_json::Value;

use self::stop::stop;
use crate::{
    commands::{
        call::{self, MethodArgs, Script},
        inspect::{self, Facts},
    },
    error::{CommandError, ExitsWith, UsageError},
    exit::Exit,
    plugin_args::{TlsFiles, TlsFilesError},
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
    /// Reattach JSON, a file with reattach JSON, unix:/PATH, or HOST:PORT. The default is the value of TF_REATTACH_PROVIDERS.
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

/// The arguments do not describe a plugin to attach to.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub(crate) enum TargetError {
    #[error(transparent)]
    #[diagnostic(transparent)]
    Usage(#[from] UsageError),
    #[error(transparent)]
    #[diagnostic(transparent)]
    Reattach(#[from] ReattachError),
    #[error(transparent)]
    #[diagnostic(transparent)]
    Handover(#[from] HandoverError),
    #[error(transparent)]
    #[diagnostic(transparent)]
    Files(#[from] TlsFilesError),
    #[error(transparent)]
    #[diagnostic(transparent)]
    Tls(#[from] TlsError),
}

impl ExitsWith for TargetError {
    const EXIT: Exit = Exit::Usage;
}

/// Attaches, and executes the action. The plugin keeps running.
pub(crate) async fn run(args: &AttachArgs, out: &mut Out) -> Result<Exit, CommandError> {
    let Some(target) = args.plugin.as_deref().or(args.tf_reattach.as_deref()) else {
        return Err(UsageError::new(
            "the plugin to attach to is missing",
            "give the reattach JSON that the plugin or `rpcplugin run` printed, a file with it, or an address",
        )
        .into());
    };
    let schema = match &args.action {
        Some(AttachAction::Call { schema, .. }) if schema.is_given() => schema,
        _ => &args.schema,
    };
    let files = schema.read()?;
    let script = match &args.action {
        Some(AttachAction::Call { method, .. }) => Script::of(method)?,
        _ => None,
    };
    let plugin = attach(target_of(target, args)?, args, out).await?;
    match &args.action {
        None => {
            let schema = Schema::of(files.as_ref(), &plugin.channel()).await;
            let facts = Facts::gather(&plugin, &schema).await;
            inspect::print(&facts, args.full, out);
            Ok(Exit::Ok)
        }
        Some(AttachAction::Call { method, .. }) => {
            call::calls(script, files.as_ref(), &plugin, method, out).await
        }
        Some(AttachAction::Stop) => {
            let end = stop(plugin).await?;
            match out.is_json() {
                true => out.json(&serde_json::json!({ "end": end })),
                false => out.line(good(format_args!("the plugin {end}"))),
            }
            Ok(Exit::Ok)
        }
    }
}

/// A plugin to attach to.
#[derive(Debug)]
struct Target {
    attachment: Attachment,
    version: AppVersion,
    /// Whether this side has a client certificate.
    secured: bool,
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

/// Parses the argument: JSON, a file with JSON, or an address.
fn target_of(target: &str, args: &AttachArgs) -> Result<Target, TargetError> {
    let target = target.trim();
    let address = target.strip_prefix("unix:").map(|path| ("unix", path)).or_else(|| {
        let rest = target.strip_prefix("tcp:").unwrap_or(target);
        let is_address = Endpoint::parse("tcp", rest).is_ok() && !std::path::Path::new(target).exists();
        is_address.then_some(("tcp", rest))
    });
    let known = match address {
        Some((network, address)) => {
            let version = AppVersion(args.app_version);
            let endpoint = Endpoint::parse(network, address).map_err(|error| UsageError::of(&error))?;
            let attachment = Attachment::new(endpoint, version);
            Target { attachment, version, secured: false }
        }
        None => from_json(&json(target)?, args.name.as_deref())?,
    };
    let Some((identity, trust)) = args.tls.read()? else { return Ok(known) };
    Ok(Target { attachment: known.attachment.secured(identity, trust)?, secured: true, ..known })
}

/// Returns the JSON of the argument or of a file, without the shell assignment around it.
fn json(target: &str) -> Result<String, UsageError> {
    let help = "give reattach JSON, a file with reattach JSON, unix:/PATH, or HOST:PORT";
    let text = match target.find('{') {
        Some(_) => target.to_owned(),
        None => std::fs::read_to_string(target)
            .map_err(|error| UsageError::new(format!("{target} cannot be read: {error}"), help))?,
    };
    match (text.find('{'), text.rfind('}')) {
        (Some(start), Some(end)) if start < end => Ok(text[start..=end].to_owned()),
        _ => Err(UsageError::new(format!("there is no JSON in {target}"), help)),
    }
}

/// Parses the JSON of one plugin, with or without the identity of its host, or of several plugins by name.
fn from_json(text: &str, name: Option<&str>) -> Result<Target, TargetError> {
    // The parser below reports invalid JSON.
    let value: Value = serde_json::from_str(text).unwrap_or_default();
    if !value.is_object() || value.get("Protocol").is_some() || value.get("Addr").is_some() {
        let version = ReattachConfig::parse(text)?.version.unwrap_or(AppVersion(0));
        let attachment = Handover::parse(text)?;
        return Ok(Target { attachment, version, secured: value.get("Tls").is_some() });
    }
    let mut plugins = ReattachConfigs::parse(text)?.0;
    let names = plugins.keys().cloned().collect::<Vec<_>>().join(", ");
    let chosen = match name {
        Some(name) => plugins.remove_entry(name),
        None if plugins.len() == 1 => plugins.pop_first(),
        None => None,
    };
    let Some((name, config)) = chosen else {
        let (message, help) = match name {
            _ if names.is_empty() => {
                let help = "give the complete JSON that the plugin or `rpcplugin run` printed";
                ("there is no plugin in the JSON".to_owned(), help.to_owned())
            }
            Some(name) => (
                format!("there is no plugin {name:?} in the JSON"),
                format!("use one of the plugins: {names}"),
            ),
            None => ("the JSON has several plugins".to_owned(), format!("select one with --name: {names}")),
        };
        return Err(UsageError::new(message, help).into());
    };
    let version = config.version.unwrap_or(AppVersion(0));
    Ok(Target { attachment: Attachment::from(config).name(name), version, secured: false })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = r#"{"Protocol":"grpc","ProtocolVersion":6,"Pid":1,"Test":true,"Addr":{"Network":"unix","String":"/tmp/p"}}"#;

    #[test]
    fn reads_one_plugin_and_several() {
        assert_eq!(from_json(ONE, None).unwrap().version, AppVersion(6));
        let several = format!(r#"{{"a":{ONE},"b":{ONE}}}"#);
        assert!(from_json(&several, None).is_err());
        assert!(from_json(&several, Some("b")).is_ok());
        assert!(from_json(&format!(r#"{{"a":{ONE}}}"#), None).is_ok());
        assert!(from_json("{", None).is_err());
        let message = |text, name| from_json(text, name).unwrap_err().to_string();
        assert_eq!(message(&several, Some("c")), "there is no plugin \"c\" in the JSON");
        assert_eq!(message("{}", None), "there is no plugin in the JSON");
    }

    #[test]
    fn reads_the_json_in_an_assignment() {
        assert_eq!(json(&format!("TF_REATTACH_PROVIDERS='{ONE}'")).unwrap(), ONE);
        assert!(json("/nowhere/at/all").is_err());
    }
}
