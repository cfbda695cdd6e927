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
mod given_tls;
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

use clap::{ColorChoice, Parser as _};
use miette::IntoDiagnostic as _;
use serde_json::json;

use crate::{
    args::{Action, Cli},
    exit::{Exit, UsageError},
    interrupt::{Interrupted, Interruptions},
    out::{Out, error_as_json},
};

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return without_arguments(&error).into(),
    };
    let mut out = Out::new(cli.json, cli.color.into());
    let exit = start(&cli, &mut out).unwrap_or_else(|report| {
        // Whoever pressed Ctrl-C knows; a program that reads what is printed does not.
        if out.is_json() || !report.is::<Interrupted>() {
            out.report(&report);
        }
        Exit::of(&report)
    });
    out.conclude(exit).into()
}

/// Prints the help or the version that was asked for, or how the arguments make no sense.
fn without_arguments(error: &clap::Error) -> Exit {
    // What stands behind `--` is the plugin's.
    let json = std::env::args_os().take_while(|arg| arg != "--").any(|arg| arg == "--json");
    let mut out = Out::new(json, ColorChoice::Auto);
    let text = error.render();
    if !error.use_stderr() {
        out.line(text.ansi().to_string().trim_end());
        return out.conclude(Exit::Ok);
    }
    if json {
        let text = text.to_string();
        let (message, rest) = text.split_once("\n\n").unwrap_or((&text, ""));
        let message = message.strip_prefix("error: ").unwrap_or(message);
        out.json(&json!({ "error": error_as_json(&UsageError::new(message, rest.trim())) }));
    } else {
        out.note(text.ansi().to_string().trim_end());
    }
    out.conclude(Exit::Usage)
}

fn start(cli: &Cli, out: &mut Out) -> miette::Result<Exit> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .into_diagnostic()?;
    let exit = runtime.block_on(async {
        // These deal with interruptions by themselves: they have something to say then.
        if let Action::Run(_) | Action::Conformance(_) | Action::Doctor(_) = &cli.action {
            return dispatch(&cli.action, out).await;
        }
        let mut interruptions = Interruptions::new().into_diagnostic()?;
        tokio::select! {
            exit = dispatch(&cli.action, out) => exit,
            // Whatever plugin is up goes with the future that has it.
            () = interruptions.any() => Err(Interrupted.into()),
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
