//! `kit-bench`: a host that makes one measurement and prints it as one line of JSON.
//!
//! `cargo xtask bench` alternates between this program and the hosts of other implementations. They have the same flags,
//! methods and names. The unit of a time is in its name: `_us` or `_ms`. `cpu_us_per_call` is the CPU time of host and
//! plugin together.
//!
//! ```text
//! kit-bench host FIGURE [--auto-mtls] [--mux] [...] -- PLUGIN [ARG...]
//! kit-bench plugin                      a plugin with Echo, Count and Sum only, to compare with:
//! kit-bench raw-host FIGURE [...] -- kit-bench raw-plugin
//!                                       the same calls with tonic alone (feature `raw-tonic`)
//! kit-bench pin CPUS -- PROGRAM [ARG...]    runs a program on these cores only, for example 0 or 0,1
//! ```

mod args;
mod brokered;
mod calls;
mod connected;
mod counting;
mod few_calls;
mod flood;
mod lives;
mod output;
#[cfg(all(feature = "raw-tonic", unix))]
mod raw;
mod result;
mod streams;

use std::{
    error::Error,
    future::Future,
    io::{self, Write as _},
    process::ExitCode,
};

use clap::Parser as _;
use rpcplugin::Serve;

use self::{
    args::{Args, Figure, Mode, Options},
    connected::{Channel, Connected},
    few_calls::FewCalls,
    result::Results,
};
use crate::{contract, os};

/// The result of a measurement.
type Measured<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// Runs the program. A failed measurement is reported on stderr, with exit status 1.
pub fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { 2 } else { 0 });
        }
    };
    let done = match args.mode {
        Mode::Host(options) => on_runtime(&options, measure(options.clone())),
        Mode::Plugin => return Serve::new(contract::cookie()).version(3, FewCalls).main(),
        #[cfg(all(feature = "raw-tonic", unix))]
        Mode::RawHost(options) => on_runtime(&options, raw::measure(options.clone())),
        #[cfg(all(feature = "raw-tonic", unix))]
        Mode::RawPlugin => raw::serve(),
        Mode::Pin { cpus, command } => Err(os::cores::run_on(&cpus, &command).into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "kit-bench: {}", contract::in_one_line(&*error));
            ExitCode::FAILURE
        }
    }
}

/// Makes the measurement on a new runtime and prints it.
fn on_runtime(
    options: &Options,
    measurement: impl Future<Output = Measured<Results>> + Send + 'static,
) -> Measured<()> {
    os::usage::allow_many_files();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(options.workers).enable_all().build()?;
    // In a task: each call from the blocked thread would cost a switch of threads.
    let results = runtime.block_on(runtime.spawn(measurement))??;
    writeln!(io::stdout(), "{results}")?;
    Ok(())
}

async fn measure(options: Options) -> Measured<Results> {
    match options.figure {
        Figure::Launch => lives::launch(&options).await,
        Figure::Idle => lives::idle(&options).await,
        Figure::Crowd => lives::crowd(&options).await,
        Figure::Unary | Figure::Down | Figure::Up => {
            let plugin = connected::launch(&options).await?;
            let results = measure_calls(&options, &Connected::to(&plugin)).await;
            plugin.shut_down().await;
            results
        }
        Figure::Broker => brokered::measure(&options).await,
        Figure::Stdio => output::stdio(&options).await,
        Figure::Logs => output::logs(&options).await,
        Figure::Flood => flood::measure(&options).await,
    }
}

/// The measurements that need only a channel.
async fn measure_calls(options: &Options, connected: &Connected<impl Channel>) -> Measured<Results> {
    match options.figure {
        Figure::Unary => calls::measure(options, connected).await,
        Figure::Down => streams::down(options, connected).await,
        Figure::Up => streams::up(options, connected).await,
        other => Err(format!("{other:?} needs a plugin").into()),
    }
}
