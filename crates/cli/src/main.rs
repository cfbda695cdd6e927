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
mod environment;
mod exit;
mod given_tls;
mod help;
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
mod stray_flags;

use std::{ffi::OsString, process::ExitCode};

use clap::{ColorChoice, FromArgMatches as _, ValueEnum as _};
use miette::IntoDiagnostic as _;
use serde_json::json;

use crate::{
    args::{Action, Cli, Color},
    exit::{Exit, UsageError},
    interrupt::{Interrupted, Interruptions},
    out::{
        Out, error_as_json,
        style::{self, warn},
    },
};

fn main() -> ExitCode {
    let typed: Vec<OsString> = std::env::args_os().skip(1).collect();
    let mut command = environment::without_empty_variables(help::command());
    let parsed = command.try_get_matches_from_mut(std::env::args_os()).and_then(|matches| {
        let cli = Cli::from_arg_matches(&matches).map_err(|error| error.format(&mut command))?;
        Ok((cli, stray_flags::note(&command, &matches, &typed)))
    });
    let (cli, stray) = match parsed {
        Ok(parsed) => parsed,
        Err(error) => return without_arguments(&error, &typed).into(),
    };
    let mut out = Out::new(cli.json, cli.color.into());
    if let Some(stray) = stray {
        out.note(warn(stray));
    }
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
fn without_arguments(error: &clap::Error, typed: &[OsString]) -> Exit {
    // What stands behind `--` is the plugin's.
    let ours: Vec<&str> =
        typed.iter().take_while(|arg| *arg != "--").map(|arg| arg.to_str().unwrap_or_default()).collect();
    let json = ours.contains(&"--json");
    let mut out = Out::new(json, color_among(&ours));
    let text = error.render();
    if !error.use_stderr() {
        out.line(style::own(text.ansi().to_string().trim_end()));
        return out.conclude(Exit::Ok);
    }
    if json {
        let text = text.to_string();
        let (message, rest) = text.split_once("\n\n").unwrap_or((&text, ""));
        let message = message.strip_prefix("error: ").unwrap_or(message);
        out.json(&json!({ "error": error_as_json(&UsageError::new(message, rest.trim())) }));
    } else {
        out.note(style::own(text.ansi().to_string().trim_end()));
    }
    out.conclude(Exit::Usage)
}

/// When to use colours, as far as it can be read where the rest cannot.
fn color_among(args: &[&str]) -> ColorChoice {
    let given = args.iter().zip(args.iter().skip(1).chain([&""])).find_map(|(arg, next)| match *arg {
        "--color" => Some(*next),
        arg => arg.strip_prefix("--color="),
    });
    given.and_then(|given| Color::from_str(given, false).ok()).unwrap_or(Color::Auto).into()
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
        Action::Completions(args) => manual::completions(args, out),
        Action::Man(args) => manual::man(args, out),
    }
}
