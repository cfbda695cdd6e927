//! The `rpcplugin` program: looks into plugins of any language, calls them, keeps them up, and says what is wrong.
//!
//! One module is one command, with its arguments and a `run` that prints through [`out::Out`] and returns how the
//! program ends. All that it knows of plugins it has from the crate `rpcplugin`; it has no protocol of its own.

mod args;
mod attach;
mod bare;
mod bench;
mod call;
mod certificate;
mod conformance;
mod doctor;
mod duration;
mod exit;
mod inspect;
mod interrupt;
mod launch_args;
mod manual;
mod new;
mod out;
mod presets;
mod process;
mod run;
mod schema;

use std::process::ExitCode;

use clap::Parser as _;
use miette::IntoDiagnostic as _;

use crate::{
    args::{Action, Cli},
    exit::Exit,
    out::Out,
};

fn main() -> ExitCode {
    // clap ends the program by itself, with status 2, when the arguments make no sense.
    let cli = Cli::parse();
    let mut out = Out::new(cli.json, cli.color.into());
    let exit = start(&cli, &mut out).unwrap_or_else(|report| {
        out.report(&report);
        Exit::of(&report)
    });
    exit.into()
}

fn start(cli: &Cli, out: &mut Out) -> miette::Result<Exit> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .into_diagnostic()?;
    let exit = runtime.block_on(async {
        // `run` deals with interruptions by itself, and waits for them in another way.
        if let Action::Run(args) = &cli.action {
            return Box::pin(run::run(args, out)).await;
        }
        tokio::select! {
            exit = dispatch(&cli.action, out) => exit,
            // Whatever plugin is up goes with the future that has it.
            () = interrupt::interrupted() => Ok(Exit::Interrupted),
        }
    });
    // A thread that still reads from a terminal would hold the program up.
    runtime.shutdown_background();
    exit
}

async fn dispatch(action: &Action, out: &mut Out) -> miette::Result<Exit> {
    match action {
        Action::Inspect(args) => Box::pin(inspect::run(args, out)).await,
        Action::Call(args) => Box::pin(call::run(args, out)).await,
        Action::Run(args) => Box::pin(run::run(args, out)).await,
        Action::Attach(args) => Box::pin(attach::run(args, out)).await,
        Action::Doctor(args) => Box::pin(doctor::run(args, out)).await,
        Action::Bench(args) => Box::pin(bench::run(args, out)).await,
        Action::New(args) => new::run(args, out).await,
        Action::Conformance(args) => Box::pin(conformance::run(args, out)).await,
        Action::Completions(args) => Ok(manual::completions(args, out)),
        Action::Man(args) => manual::man(args, out),
    }
}
