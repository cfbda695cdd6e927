//! `rpcplugin inspect`: what a plugin is.

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
    schema::{Schema, SchemaArgs},
    ui::Out,
};

/// Launches a plugin, shows what it is, how it is reached and secured, and what it serves, and ends it.
#[derive(Debug, Args)]
pub(crate) struct InspectArgs {
    #[command(flatten)]
    pub(crate) schema: SchemaArgs,
    #[command(flatten)]
    pub(crate) launch: LaunchArgs,
}

/// Launches the plugin, looks, and ends it.
pub(crate) async fn run(args: &InspectArgs, out: &mut Out) -> Result<Exit, CommandError> {
    let files = args.schema.read()?;
    let plugin = args.launch.launch(out).await?;
    let working = out.working("asking what it serves");
    let schema = Schema::of(files.as_ref(), &plugin.channel()).await;
    let mut facts = Facts::gather(&plugin, &schema).await;
    facts.launched(&args.launch);
    // A plugin that carries all connections over one socket has that one.
    if !args.launch.mux {
        facts.security.unauthorized_clients = UnauthorizedClients::call(&plugin).await;
    }
    let begun = Instant::now();
    let end = plugin.shut_down().await;
    facts.ended(end, begun.elapsed());
    drop(working);
    print(&facts, args.launch.full, out);
    Ok(Exit::Ok)
}

/// Prints what is known, with fingerprints cut unless all is to be seen.
pub(crate) fn print(facts: &Facts, full: bool, out: &mut Out) {
    if out.is_json() {
        out.json(facts);
    } else {
        out.tree(&show(facts, full));
    }
}
