//! `kit-host`: a host that is driven by JSON lines, or goes through a list of checks.

mod check;
mod drive;
pub(crate) mod host_calls;
mod launching;
mod recorder;
mod status;
mod subs;

use std::{
    io::{self, Write as _},
    process::ExitCode,
    time::Duration,
};

use clap::{Parser, Subcommand};

use crate::kit_host::check::CheckArgs;

/// Launches conformance plugins.
#[derive(Debug, Parser)]
#[command(name = "kit-host")]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Do what the JSON objects on stdin say, and answer each with one on stdout.
    Drive,
    /// Check a plugin: print PASS, FAIL or SKIP for each check, and how many passed and failed.
    Check(CheckArgs),
}

/// Runs the host. The status is 0 when `drive` came to the end of its input, or `check` found nothing to complain of.
pub fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { 2 } else { 0 });
        }
    };
    match run(args.command) {
        Ok(code) => code,
        Err(error) => {
            let _ = writeln!(io::stderr(), "kit-host: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> io::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let done = runtime.block_on(async {
        let work = async {
            match command {
                Command::Drive => drive::run().await.map(|()| ExitCode::SUCCESS),
                Command::Check(args) => Box::pin(check::run(args)).await,
            }
        };
        tokio::select! {
            done = work => done,
            // What is dropped here takes its plugins with it.
            () = asked_to_end()? => Ok(ExitCode::from(INTERRUPTED)),
        }
    });
    // A thread that reads stdin reads on for as long as that is open. Plugins have ended when the time is over.
    runtime.shutdown_timeout(LAST_WAIT);
    done
}

/// Resolves when the process is asked to end.
fn asked_to_end() -> io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

const INTERRUPTED: u8 = 130;

/// Enough for every plugin to be killed and reaped.
const LAST_WAIT: Duration = Duration::from_secs(1);
