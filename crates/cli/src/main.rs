//! The program `rpcplugin`: inspects, calls, runs and tests plugins of any language.
//!
//! Rooms, the lowest first. Each uses only rooms above it in this list:
//!
//! - [`exit`] and [`error`]: exit codes, and errors that carry one;
//! - [`os`]: everything that depends on the operating system;
//! - [`ui`]: printing, for people and as JSON;
//! - [`facts`]: properties of a certificate, a process and a file;
//! - [`protojson`]: protobuf messages as JSON;
//! - [`schema`]: services and messages of a plugin, from reflection and from files;
//! - [`calls`]: calls without generated code;
//! - [`raw_host`]: a host without the host library, for `doctor` and `conformance`;
//! - [`stand_in`]: what programs in the place of a plugin have in common;
//! - [`sandbox`]: what a plugin may do, as options, in a lock file and in words;
//! - [`trust`]: the lock file;
//! - [`plugin_args`]: which plugin to launch, and the launch;
//! - [`commands`]: one module for each command;
//! - [`cli`]: the command line.

mod calls;
mod cli;
mod commands;
mod error;
mod exit;
mod facts;
mod os;
mod plugin_args;
mod protojson;
mod raw_host;
mod runner;
mod sandbox;
mod schema;
mod stand_in;
mod trust;
mod ui;

use std::{ffi::OsString, io::ErrorKind, process::ExitCode};

use clap::{ColorChoice, FromArgMatches as _, ValueEnum as _};
use miette::IntoDiagnostic as _;
use serde_json::json;

use crate::{
    cli::{Action, Cli, Color, command, stray_flags, without_empty_variables},
    commands::{
        attach, bench, bridge, call, completions, conformance, discover, doctor, inspect, man, new, replay,
        run, tap, trust as trust_command,
    },
    error::{CommandError, Interrupted, UsageError},
    exit::Exit,
    os::Interruptions,
    ui::{
        Out, StdoutUnwritable, error_as_json,
        style::{self, warn},
    },
};

fn main() -> ExitCode {
    let typed: Vec<OsString> = std::env::args_os().skip(1).collect();
    let mut command = without_empty_variables(command());
    let parsed = command.try_get_matches_from_mut(std::env::args_os()).and_then(|matches| {
        let cli = Cli::from_arg_matches(&matches).map_err(|error| error.format(&mut command))?;
        Ok((cli, stray_flags(&command, &matches, &typed)))
    });
    let (cli, stray) = match parsed {
        Ok(parsed) => parsed,
        Err(error) => return without_arguments(&error, &typed).into(),
    };
    let mut out = Out::new(cli.json, cli.color.into());
    if let Some(stray) = stray {
        out.note(warn(stray));
    }
    let exit = start(&cli, &mut out).unwrap_or_else(|CommandError { exit, report }| {
        // The person who pressed Ctrl-C knows. A program that reads the output does not.
        if out.is_json() || exit != Exit::Interrupted {
            out.report(&report);
        }
        exit
    });
    conclude(out, exit).into()
}

/// Returns the exit code: `exit`, unless stdout could not be written. A reader that closes the pipe early, as `head` does, is no error.
fn conclude(mut out: Out, exit: Exit) -> Exit {
    match out.take_stdout_error() {
        None => exit,
        Some(error) if error.kind() == ErrorKind::BrokenPipe => Exit::ReaderGone,
        Some(error) => {
            out.report_on_stderr(&StdoutUnwritable(error));
            Exit::Failed
        }
    }
}

/// Prints the requested help or version, or the usage error.
fn without_arguments(error: &clap::Error, typed: &[OsString]) -> Exit {
    // Arguments behind `--` belong to the plugin.
    let ours: Vec<&str> =
        typed.iter().take_while(|arg| *arg != "--").map(|arg| arg.to_str().unwrap_or_default()).collect();
    let json = ours.contains(&"--json");
    let mut out = Out::new(json, color_among(&ours));
    let text = error.render();
    if !error.use_stderr() {
        out.line(style::from_library(text.ansi().to_string().trim_end()));
        return conclude(out, Exit::Ok);
    }
    if json {
        let text = text.to_string();
        let (message, rest) = text.split_once("\n\n").unwrap_or((&text, ""));
        let message = message.strip_prefix("error: ").unwrap_or(message);
        out.json(&json!({ "error": error_as_json(&UsageError::new(message, rest.trim())) }));
    } else {
        out.note(style::from_library(text.ansi().to_string().trim_end()));
    }
    conclude(out, Exit::Usage)
}

/// Reads `--color` from a command line that could not be parsed.
fn color_among(args: &[&str]) -> ColorChoice {
    let given = args.iter().zip(args.iter().skip(1).chain([&""])).find_map(|(arg, next)| match *arg {
        "--color" => Some(*next),
        arg => arg.strip_prefix("--color="),
    });
    given.and_then(|given| Color::from_str(given, false).ok()).unwrap_or(Color::Auto).into()
}

fn start(cli: &Cli, out: &mut Out) -> Result<Exit, CommandError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .into_diagnostic()?;
    let exit = runtime.block_on(async {
        // These commands handle interruptions themselves: they print results then, or pass signals on.
        if let Action::Run(_)
        | Action::Bridge(_)
        | Action::Tap(_)
        | Action::Conformance(_)
        | Action::Doctor(_) = &cli.action
        {
            return dispatch(&cli.action, out).await;
        }
        let mut interruptions = Interruptions::new().into_diagnostic()?;
        tokio::select! {
            exit = dispatch(&cli.action, out) => exit,
            // Dropping the command's future ends its plugin.
            () = interruptions.any() => Err(Interrupted.into()),
        }
    });
    runtime.block_on(runner::cleaned_up());
    // Do not wait for a thread that still reads from a terminal.
    runtime.shutdown_background();
    exit
}

async fn dispatch(action: &Action, out: &mut Out) -> Result<Exit, CommandError> {
    match action {
        Action::Inspect(args) => Box::pin(inspect::run(args, out)).await,
        Action::Call(args) => Box::pin(call::run(args, out)).await,
        Action::Run(args) => Box::pin(run::run(args, out)).await,
        Action::Attach(args) => Box::pin(attach::run(args, out)).await,
        Action::Discover(args) => discover::run(args, out).await,
        Action::Doctor(args) => Box::pin(doctor::run(args, out)).await,
        Action::Bench(args) => Box::pin(bench::run(args, out)).await,
        Action::Bridge(args) => Box::pin(bridge::run(args, out)).await,
        Action::Tap(args) => Box::pin(tap::run(args, out)).await,
        Action::Replay(args) => Box::pin(replay::run(args, out)).await,
        Action::New(args) => new::run(args, out).await,
        Action::Trust(args) => trust_command::run(args, out).await,
        Action::Conformance(args) => Box::pin(conformance::run(args, out)).await,
        Action::Completions(args) => completions::run(args, command(), out),
        Action::Man(args) => man::run(args, command(), out),
    }
}
