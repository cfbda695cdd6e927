//! `rpcplugin call`: calls methods with JSON, without generated code.

mod argument_order;
mod exchange;
mod json_values;
mod method;
mod method_args;
mod place;
mod references;
mod requests;
mod script;
mod serve;
mod status;

use clap::Args;
use rpcplugin::{Plugin, host::Event};

pub(crate) use self::method_args::MethodArgs;
use self::{exchange::Call, references::Responses, requests::Requests, script::Script, serve::Served};
use crate::{
    error::{CommandError, UsageError},
    exit::Exit,
    plugin_args::LaunchArgs,
    schema::{GivenFiles, Schema, SchemaArgs},
    ui::{Out, log_record::show_record, style::dim},
};

/// Launches a plugin, calls a method, and shuts the plugin down.
#[derive(Debug, Args)]
// With `--runner` the line would be too long for a terminal.
#[command(override_usage = "rpcplugin call [OPTIONS] <SERVICE/METHOD> <PLUGIN> [ARGS]...\n       \
                            rpcplugin call [OPTIONS] --script <SCRIPT> <PLUGIN> [ARGS]...")]
pub(crate) struct CallArgs {
    #[command(flatten)]
    pub(crate) call: MethodArgs,
    #[command(flatten)]
    pub(crate) schema: SchemaArgs,
    #[command(flatten)]
    pub(crate) launch: LaunchArgs,
}

/// What the arguments name, read before there is a plugin.
#[derive(Debug)]
pub(crate) struct Opened {
    script: Option<Script>,
    served: Served,
}

impl Opened {
    /// Reads the script and the files of `--serve`.
    ///
    /// # Errors
    /// A file that cannot be read or is invalid.
    pub(crate) fn of(args: &MethodArgs) -> Result<Self, UsageError> {
        Ok(Self { script: Script::of(args)?, served: Served::open(&args.serve)? })
    }
}

/// Launches the plugin, makes the calls, and shuts the plugin down.
pub(crate) async fn run(args: &CallArgs, out: &mut Out) -> Result<Exit, CommandError> {
    let opened = Opened::of(&args.call)?;
    if opened.script.is_none() {
        argument_order::check_argument_order(&args.call.method, &args.launch)?;
    }
    let files = args.schema.read()?;
    let host = args.launch.host();
    let mut events = host.events();
    let plugin = {
        let _working = out.working(format!("starting {}", args.launch.name()));
        args.launch.launch_by(&host).await?
    };
    // The events end when the host is dropped.
    drop(host);
    let exit = calls(opened, files.as_ref(), &plugin, &args.call, out).await;
    plugin.shut_down().await;
    if matches!(exit, Ok(Exit::PluginExited)) && !out.is_json() {
        let mut heading = Some(dim("its log:"));
        while let Some(event) = events.next().await {
            if let Event::Log(record) = event.event {
                heading.take().into_iter().for_each(|heading| out.note(heading));
                out.record(&show_record(&record, args.launch.full));
            }
        }
    }
    exit
}

/// Makes the calls of the script or of the arguments on a running plugin, and prints the responses.
pub(crate) async fn calls(
    opened: Opened,
    files: Option<&GivenFiles>,
    plugin: &Plugin,
    args: &MethodArgs,
    out: &mut Out,
) -> Result<Exit, CommandError> {
    let Opened { script, mut served } = opened;
    if let Some(script) = script {
        return Ok(script.run(served, files, plugin, args, out).await);
    }
    let schema = match files.map(Schema::of_files) {
        // Files that describe the method are enough.
        Some(described) if method::find(&described, &args.method).is_ok() => described,
        _ => Schema::of(files, &plugin.channel()).await,
    };
    let method = method::find(&schema, &args.method)?;
    let requests = if served.is_empty() {
        Requests::open(args.data.as_deref(), &method)?
    } else {
        let json = requests::whole(args.data.as_deref(), &method).await?;
        let mut responses = Responses::default();
        let json = served.prepared(json, &method, (plugin, &schema), &mut responses).await?;
        served.is_used(&method)?;
        Requests::of_text(responses.replaced(&json)?, (1, 1), &method)
    };
    let call = Call { plugin, schema: &schema, method: &method, args, place: None };
    let exit = call.make(requests, None, out).await;
    served.show_calls(out);
    exit
}
