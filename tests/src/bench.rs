//! `kit-bench`: a host that takes one measurement and prints it as one line of JSON.
//!
//! `cargo xtask bench` runs it in turn with the hosts of other implementations, which take the same flags, measure by
//! the same method and print the same names. Times are as the name says, `_us` or `_ms`; `cpu_us_per_call` is what
//! host and plugin together spent.
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
mod lives;
mod output;
mod pin;
#[cfg(feature = "raw-tonic")]
mod raw;
mod result;
mod streams;
mod usage;

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
use crate::contract;

/// What every measurement ends with.
type Measured<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// Runs the program. A measurement that fails is status 1 and says why on stderr.
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
        #[cfg(feature = "raw-tonic")]
        Mode::RawHost(options) => on_runtime(&options, raw::measure(options.clone())),
        #[cfg(feature = "raw-tonic")]
        Mode::RawPlugin => raw::serve(),
        Mode::Pin { cpus, command } => pin::run(&cpus, &command),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "kit-bench: {}", contract::in_one_line(&*error));
            ExitCode::FAILURE
        }
    }
}

/// Takes the measurement on a runtime of its own and prints it.
fn on_runtime(
    options: &Options,
    measurement: impl Future<Output = Measured<Results>> + Send + 'static,
) -> Measured<()> {
    usage::allow_many_files();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(options.workers).enable_all().build()?;
    // Spawned: calls from the thread that only waits would pay for a switch of threads each.
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
    }
}

/// The measurements that need a channel and nothing else.
async fn measure_calls(options: &Options, connected: &Connected<impl Channel>) -> Measured<Results> {
    match options.figure {
        Figure::Unary => calls::measure(options, connected).await,
        Figure::Down => streams::down(options, connected).await,
        Figure::Up => streams::up(options, connected).await,
        other => Err(format!("{other:?} is not measured without a plugin").into()),
    }
}
