//! `rpcplugin inspect`: shows a plugin's process, protocol, security and services.

mod facts;
mod show;
mod unauthorized_clients;

use std::time::Instant;

use clap::Args;

use self::unauthorized_clients::UnauthorizedClients;
pub(crate) use self::{facts::Facts, show::show};
use crate::{
    error::CommandError,
    exit::Exit,
    plugin_args::LaunchArgs,
    runner::RunnerChoice,
    sandbox::SandboxFacts,
    schema::{Schema, SchemaArgs},
    ui::Out,
};

/// Launches a plugin, shows its process, protocol, security and services, and shuts it down.
#[derive(Debug, Args)]
pub(crate) struct InspectArgs {
    #[command(flatten)]
    pub(crate) schema: SchemaArgs,
    #[command(flatten)]
    pub(crate) launch: LaunchArgs,
}

/// Launches the plugin, inspects it, and shuts it down.
pub(crate) async fn run(args: &InspectArgs, out: &mut Out) -> Result<Exit, CommandError> {
    let files = args.schema.read()?;
    let plugin = args.launch.launch(out).await?;
    let working = out.working("inspecting");
    let schema = Schema::of(files.as_ref(), &plugin.channel()).await;
    let mut facts = Facts::gather(&plugin, &schema).await;
    facts.launched(&args.launch);
    facts.sandbox = SandboxFacts::of_running(args.launch.permit()?.sandbox.as_ref(), &plugin);
    // A multiplexing plugin accepts only one connection, and the sockets of a pod are not on this machine.
    let has_sockets_here = args.launch.runner.as_ref().is_none_or(RunnerChoice::has_sockets_here);
    if !args.launch.mux && has_sockets_here {
        facts.security.unauthorized_clients = UnauthorizedClients::probe(&plugin).await;
    }
    let begun = Instant::now();
    let end = plugin.shut_down().await;
    facts.ended(&end, begun.elapsed());
    drop(working);
    print(&facts, args.launch.full, out);
    Ok(Exit::Ok)
}

/// Prints the facts. Fingerprints are shortened unless `full`.
pub(crate) fn print(facts: &Facts, full: bool, out: &mut Out) {
    if out.is_json() {
        out.json(facts);
    } else {
        out.tree(&show(facts, full));
    }
}
