//! `rpcplugin doctor`: why a plugin does not start.
//!
//! It goes through all that has to be right, in the order in which a start needs it, and stops at the first that is
//! wrong: what comes after could only be wrong because of it.

mod file;
mod record;
mod start;
mod talk;

use clap::Args;
use miette::IntoDiagnostic as _;

use self::record::{Cause, Record};
use crate::{error::CommandError, exit::Exit, os::Interruptions, plugin_args::LaunchArgs, ui::Out};

/// Finds out why a plugin does not start, and says what to do.
#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    #[command(flatten)]
    launch: LaunchArgs,
}

/// Examines the plugin. The answer is yes when nothing is wrong.
pub(crate) async fn run(args: &DoctorArgs, out: &mut Out) -> Result<Exit, CommandError> {
    // A file that cannot be used is a wrong argument, and no fault of the plugin.
    args.launch.subject()?;
    let mut interruptions = Interruptions::new().into_diagnostic()?;
    let mut record = Record::new(args.launch.name(), out);
    let examined = tokio::select! {
        examined = examine(&args.launch, &mut record) => examined,
        () = interruptions.any() => {
            record.interrupted();
            return Ok(Exit::Interrupted);
        }
    };
    Ok(if record.conclude(examined) { Exit::Ok } else { Exit::Failed })
}

async fn examine(launch: &LaunchArgs, record: &mut Record<'_>) -> Result<(), Cause> {
    let suspicion = file::examine(launch, record)?;
    launch.is_supported().map_err(|fault| Cause::of("protocol", &fault))?;
    let started = start::examine(launch, suspicion, record).await?;
    talk::examine(launch, started, record).await
}
