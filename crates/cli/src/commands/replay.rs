//! `rpcplugin replay`: makes the calls of a recording again, and shows where the answers differ.

mod answer;
mod recording;

use std::path::PathBuf;

use clap::Args;
use miette::{IntoDiagnostic as _, WrapErr as _};
use rpcplugin::{Plugin, Versions};
use serde_json::json;

use self::{
    answer::Answer,
    recording::{RecordedCall, Recording},
};
use super::tap::Described;
use crate::{
    error::{CommandError, UsageError},
    exit::Exit,
    plugin_args::LaunchArgs,
    schema::{Schema, SchemaArgs},
    ui::{
        Out,
        style::{bad, dim, good, on_one_line},
    },
};

/// Makes the calls of a recording again, one after the other, and shows where the answers of the plugin differ.
///
/// `rpcplugin tap --record FILE` makes recordings. The calls that each host makes by itself are left out: those of health, reflection, the
/// broker, output and the shutdown. So are calls that were cancelled or whose deadline passed, and calls with messages that the recording does not have. Calls on
/// brokered connections are not made.
#[derive(Debug, Args)]
#[command(override_usage = "rpcplugin replay [OPTIONS] <FILE> <PLUGIN> [ARGS]...")]
pub(crate) struct ReplayArgs {
    /// The recording.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The run of the plugin, counted from 1. By default the last one in the recording.
    #[arg(long, value_name = "N")]
    run: Option<usize>,
    /// Shows texts and bytes of messages that differ, which may be secrets, and not only their lengths.
    #[arg(long)]
    show_values: bool,
    #[command(flatten)]
    schema: SchemaArgs,
    #[command(flatten)]
    launch: LaunchArgs,
}

/// Launches the plugin, makes the calls, and shuts the plugin down.
pub(crate) async fn run(args: &ReplayArgs, out: &mut Out) -> Result<Exit, CommandError> {
    let files = args.schema.read()?;
    let recording = read(args)?;
    let mut launch = args.launch.clone();
    if launch.guesses_versions()
        && let Some(version) = recording.version
    {
        launch.versions = Some(Versions::from(version));
    }
    let plugin = launch.launch(out).await?;
    let types = Described::new(Schema::of(files.as_ref(), &plugin.channel()).await);
    let exit = replay(&recording.calls, &plugin, &types, args.show_values, out).await;
    plugin.shut_down().await;
    Ok(exit)
}

fn read(args: &ReplayArgs) -> Result<Recording, CommandError> {
    let read = Recording::read(&args.file, args.run);
    let found = read
        .into_diagnostic()
        .wrap_err_with(|| format!("{} is not a recording that can be read", args.file.display()))?;
    found.map_err(|runs| {
        let message = format!("{} has {runs} runs of a plugin", args.file.display());
        UsageError::new(message, "choose one of them with --run, or record one with `rpcplugin tap --record`")
            .into()
    })
}

/// Makes all calls, and prints a line for each.
async fn replay(
    calls: &[RecordedCall],
    plugin: &Plugin,
    types: &Described,
    values: bool,
    out: &mut Out,
) -> Exit {
    let (mut same, mut different, mut left_out) = (0, 0, 0);
    for call in calls.iter().filter(|call| !call.is_of_the_protocol()) {
        let method = &call.method;
        if let Some(why) = why_left_out(call) {
            left_out += 1;
            match out.is_json() {
                true => out.json_line(&json!({ "kind": "left_out", "method": method, "why": why })),
                false => out.line(format!("{} {method}: {why}", dim("left out"))),
            }
            continue;
        }
        let differences = Answer::to(call, plugin).await.differences(call, types, values);
        let is_same = differences.is_empty();
        *(if is_same { &mut same } else { &mut different }) += 1;
        if out.is_json() {
            let kind = if is_same { "same" } else { "different" };
            out.json_line(&json!({ "kind": kind, "method": method, "differences": differences }));
            continue;
        }
        match is_same {
            true => out.line(format!("{} {method}", good("same"))),
            false => out.line(format!("{} {method}", bad("different"))),
        }
        for difference in differences {
            out.line(format!("    {}", on_one_line(&difference)));
        }
    }
    match out.is_json() {
        true => out.json_line(&json!({
            "kind": "end", "same": same, "different": different, "left_out": left_out,
        })),
        false => out.line(format!("{same} the same, {different} different, {left_out} left out")),
    }
    if different == 0 { Exit::Ok } else { Exit::Failed }
}

fn why_left_out(call: &RecordedCall) -> Option<&'static str> {
    match call {
        RecordedCall { is_incomplete: true, .. } => Some("the recording does not have all of its messages"),
        RecordedCall { status: None, .. } => Some("it was cancelled, or did not end"),
        // Whether the plugin reports this, or the host does not wait for it, is a matter of time.
        RecordedCall { status: Some((CANCELLED | DEADLINE_EXCEEDED, _)), .. } => {
            Some("it was cancelled, or its deadline passed")
        }
        _ => None,
    }
}

// Codes of gRPC.
const CANCELLED: i32 = 1;
const DEADLINE_EXCEEDED: i32 = 4;
