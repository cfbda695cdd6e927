//! `rpcplugin inspect`: what a plugin is.

use clap::Args;
use serde_json::json;

use crate::{
    duration,
    exit::Exit,
    launch_args::LaunchArgs,
    out::{Out, Tree},
};

/// Shows what a plugin is, how it is reached and secured, and what it serves.
#[derive(Debug, Args)]
pub(crate) struct InspectArgs {
    #[command(flatten)]
    pub(crate) launch: LaunchArgs,
}

/// Launches the plugin, looks, and ends it.
pub(crate) async fn run(args: &InspectArgs, out: &mut Out) -> miette::Result<Exit> {
    let working = out.working(format!("starting {}", args.launch.name()));
    let plugin = args.launch.host().launch(args.launch.command()).await?;
    drop(working);
    if out.is_json() {
        out.json(&json!({ "pid": plugin.pid(), "version": plugin.version().0 }));
    } else {
        let mut tree = Tree::new(args.launch.name());
        tree.fact("process", plugin.pid()).fact("launch", duration::show(plugin.launch_time()));
        out.line(tree);
    }
    plugin.shut_down().await;
    Ok(Exit::Ok)
}
