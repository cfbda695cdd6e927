//! `rpcplugin doctor`: examines each step of a plugin's launch, in order, and stops at the first fault.

mod confinement;
mod file;
mod record;
mod start;
mod talk;

use clap::Args;
use miette::IntoDiagnostic as _;

use self::record::{Fault, Record};
use crate::{error::CommandError, exit::Exit, os::Interruptions, plugin_args::LaunchArgs, ui::Out};

/// Finds out why a plugin does not start, and how to fix it.
#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    #[command(flatten)]
    launch: LaunchArgs,
}

/// Examines the plugin. Returns [`Exit::Ok`] if there is no fault.
pub(crate) async fn run(args: &DoctorArgs, out: &mut Out) -> Result<Exit, CommandError> {
    // An unusable certificate file is a usage error, not a fault of the plugin. The lock file is a step of the examination.
    if args.launch.permit().is_ok() {
        args.launch.under_test()?;
    }
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

async fn examine(launch: &LaunchArgs, record: &mut Record<'_>) -> Result<(), Fault> {
    let suspicion = match &launch.runner {
        None => file::examine(launch, record)?,
        Some(runner) => {
            record.ok("runner", runner.to_string());
            None
        }
    };
    confinement::examine(launch, record)?;
    launch.is_supported().map_err(|fault| Fault::of("protocol", &fault))?;
    let started = start::examine(launch, suspicion, record).await?;
    talk::examine(launch, started, record).await
}
