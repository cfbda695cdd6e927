//! `kit-host`: a host that is driven by JSON lines, or that runs a list of checks.

mod check;
mod drive;
pub mod host_calls;
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

use crate::{kit_host::check::CheckArgs, os::Termination};

/// Launches conformance plugins.
#[derive(Debug, Parser)]
#[command(name = "kit-host")]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Execute the JSON objects on stdin, and answer each with one on stdout.
    Drive,
    /// Check a plugin: print PASS, FAIL or SKIP for each check, and the numbers of passed and failed checks.
    Check(CheckArgs),
}

/// Runs the host. The exit status is 0 when `drive` has reached the end of its input, or when no check of `check` failed.
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
        let mut termination = Termination::new()?;
        let work = async {
            match command {
                Command::Drive => drive::run().await.map(|()| ExitCode::SUCCESS),
                Command::Check(args) => Box::pin(check::run(args)).await,
            }
        };
        tokio::select! {
            done = work => done,
            // Dropping the work kills its plugins.
            () = termination.requested() => Ok(ExitCode::from(INTERRUPTED)),
        }
    });
    // A thread that reads stdin blocks until stdin closes. The plugins have exited within this time.
    runtime.shutdown_timeout(LAST_WAIT);
    done
}

const INTERRUPTED: u8 = 130;

/// Long enough to kill and reap every plugin.
const LAST_WAIT: Duration = Duration::from_secs(1);
