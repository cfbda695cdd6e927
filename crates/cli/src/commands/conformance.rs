//! `rpcplugin conformance`: checks whether a plugin follows the protocol, in any language.
//!
//! Each check launches the plugin anew and speaks to it without the host library. A check has a timeout, and leaves nothing behind.

mod baseline;
mod check;
mod connections;
mod cookie;
mod ending;
mod line;
mod logs;
mod mux;
mod opening;
mod report;
mod security;
mod services;
mod sockets;
mod versions;

use std::{
    fs::File,
    io::Write as _,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use clap::{ArgMatches, Args, Command, FromArgMatches};
use futures_util::{StreamExt as _, stream};
use miette::{IntoDiagnostic as _, miette};
use rpcplugin::{error::with_causes, host::LaunchFault};

use self::{
    baseline::Baseline,
    check::{Check, Level, fail, skip},
    opening::{FirstLaunch, open},
    report::{Finding, Report},
};
use crate::{
    error::{CommandError, UsageError},
    exit::Exit,
    os::Interruptions,
    plugin_args::LaunchArgs,
    raw_host::{OwnTls, PluginUnderTest, SpawnError, shown_line},
    sandbox::help_for,
    ui::{
        Out,
        duration::{self, show},
        style,
    },
};

/// Checks whether a plugin follows go-plugin's protocol. Each check launches the plugin anew.
#[derive(Debug, Args)]
pub(crate) struct ConformanceArgs {
    /// Lists the checks with their rules.
    #[arg(long)]
    list: bool,
    /// Runs only the checks whose names start with one of these.
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    only: Vec<String>,
    /// Skips the checks whose names start with one of these.
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    skip: Vec<String>,
    /// Ignores the failures of the checks that this file names, one per line. Comments start with `#`.
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,
    /// Also writes the results as JUnit XML.
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Runs this many checks at once.
    #[arg(long, value_name = "N", default_value = "1", value_parser = clap::value_parser!(u16).range(1..=64))]
    jobs: u16,
    /// The timeout of each check.
    #[arg(long, value_name = "TIME", default_value = "2m", value_parser = duration::limit)]
    deadline: Duration,
    #[command(flatten)]
    launch: MaybeLaunch,
}

/// The plugin to check. `--list` needs no plugin.
#[derive(Debug)]
struct MaybeLaunch(Option<LaunchArgs>);

impl Args for MaybeLaunch {
    fn augment_args(command: Command) -> Command {
        Self::augment_args_for_update(command)
    }

    // No argument is required.
    fn augment_args_for_update(command: Command) -> Command {
        LaunchArgs::augment_args_for_update(command).mut_group("plugin", |plugin| plugin.required(false))
    }
}

impl FromArgMatches for MaybeLaunch {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let is_given = matches.contains_id("program") || matches.contains_id("runner");
        is_given.then(|| LaunchArgs::from_arg_matches(matches)).transpose().map(Self)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// Runs the checks. Returns [`Exit::Ok`] if no MUST is broken.
pub(crate) async fn run(args: &ConformanceArgs, out: &mut Out) -> Result<Exit, CommandError> {
    if args.list {
        list(out);
        return Ok(Exit::Ok);
    }
    let Some(launch) = &args.launch.0 else {
        return Err(UsageError::new(
            "the plugin is missing",
            "name the plugin's program: `conformance -- PLUGIN`",
        )
        .into());
    };
    if !launch.has_cookie() {
        let help =
            "give the cookie of the plugin's hosts with --cookie KEY=VALUE, or name a host with --preset";
        return Err(UsageError::new("the magic cookie of the plugin is missing", help).into());
    }
    launch.is_supported()?;
    let mut plugin = launch.under_test()?;
    let chosen = Selection::of(args)?;
    let mut interruptions = Interruptions::new().into_diagnostic()?;
    let junit = args.junit.as_deref().map(Junit::create).transpose()?;
    let opened = {
        let _working = out.working(format!("starting {}", launch.name()));
        tokio::select! {
            opened = open(&mut plugin, launch.guesses_versions()) => Some(opened),
            () = interruptions.any() => None,
        }
    };
    let report = match opened {
        None => Report::new(launch.name(), Vec::new()).interrupted(),
        // Every check would fail in the same way.
        Some(Err(error)) => {
            let why = not_started(launch, &error);
            return cannot_be_checked(launch, &why, junit, out);
        }
        Some(Ok(FirstLaunch::OtherProtocol(error, line))) => {
            let code = miette::Diagnostic::code(&error).map(|code| code.to_string()).unwrap_or_default();
            let (help, line) = (launch.help_for_line(&error), shown_line(&line));
            let why = miette!(
                code = code,
                help = help,
                "{} cannot be checked: {}: {line:?}",
                launch.name(),
                error.fault
            );
            return cannot_be_checked(launch, &why, junit, out);
        }
        Some(Ok(opening)) => {
            let has_line = matches!(opening, FirstLaunch::GrpcLine);
            findings(args, &plugin, has_line, &chosen, &mut interruptions, out).await
        }
    };
    if out.is_json() {
        out.json(&report);
    } else {
        report.print_summary(out);
    }
    if let Some(junit) = junit {
        junit.write(&report)?;
    }
    Ok(match report.conforms() {
        _ if report.is_interrupted() => Exit::Interrupted,
        true => Exit::Ok,
        false => Exit::Failed,
    })
}

/// The file for the JUnit XML. It is created before the checks run, so that a wrong path fails immediately.
struct Junit<'a>(File, &'a Path);

impl<'a> Junit<'a> {
    fn create(path: &'a Path) -> Result<Self, UsageError> {
        let file = File::create(path).map_err(|error| Self::unwritable(path, &error))?;
        Ok(Self(file, path))
    }

    fn write(mut self, report: &Report) -> Result<(), UsageError> {
        let written = self.0.write_all(report.junit().as_bytes());
        written.map_err(|error| Self::unwritable(self.1, &error))
    }

    fn unwritable(path: &Path, error: &std::io::Error) -> UsageError {
        let help = "name a file in a writable directory with --junit";
        UsageError::new(format!("{} cannot be written: {error}", path.display()), help)
    }
}

/// Returns why a plugin is not started.
fn not_started(launch: &LaunchArgs, error: &SpawnError) -> miette::Report {
    let mut help = "run `rpcplugin doctor` with the same options to find the reason".to_owned();
    let mut code = None;
    if let SpawnError::Runner(fault) = error {
        if let Some(refusal) = launch.changed(fault) {
            return refusal.into();
        }
        if let LaunchFault::Sandbox(fault) = fault {
            help = help_for(fault).unwrap_or(help);
            code = miette::Diagnostic::code(fault).map(|code| code.to_string());
        }
    }
    let text = with_causes(error.to_string(), error);
    let text = format!("{} cannot be started: {text}", launch.name());
    match code {
        Some(code) => miette!(code = code, help = help, "{text}"),
        None => miette!(help = help, "{text}"),
    }
}

/// Reports why a plugin cannot be checked.
fn cannot_be_checked(
    launch: &LaunchArgs,
    why: &miette::Report,
    junit: Option<Junit<'_>>,
    out: &mut Out,
) -> Result<Exit, CommandError> {
    out.report(why);
    if let Some(junit) = junit {
        junit.write(&Report::impossible(launch.name(), why.to_string()))?;
    }
    Ok(Exit::NotStarted)
}

/// Runs the checks until all are done, a signal arrives, or stdout fails.
async fn findings(
    args: &ConformanceArgs,
    plugin: &PluginUnderTest,
    has_line: bool,
    chosen: &Selection,
    interruptions: &mut Interruptions,
    out: &mut Out,
) -> Report {
    let name = args.launch.0.as_ref().map(LaunchArgs::name).unwrap_or_default();
    let mut notes = Vec::new();
    if matches!(plugin.tls, OwnTls::Missing) {
        notes.push(format!(
            "{name} has its own certificates. Checks that need a connection are skipped: name the certificate files with --cert, \
             --key and --ca"
        ));
    }
    if !out.is_json() {
        notes.iter().for_each(|note| out.line(format_args!("{}  {note}", style::strong("NOTE"))));
    }
    let _working = out.working(format!("checking {name}"));
    let without_tls = args.launch.0.as_ref().is_some_and(|launch| launch.no_mtls);
    let running = chosen.checks.iter().map(|check| async move {
        let begun = Instant::now();
        let verdict = match check.name {
            name if chosen.leaves_out(name) => skip("skipped by --skip"),
            name if without_tls && name.contains("tls") => skip("--no-mtls was given"),
            name if !has_line && !name.starts_with("cookie-") && name != "line-form" => {
                skip("there is no handshake line: see line-form, and run `rpcplugin doctor`")
            }
            _ => tokio::time::timeout(args.deadline, (check.run)(plugin))
                .await
                .unwrap_or_else(|_| fail(format!("the check was not done after {}", show(args.deadline)))),
        };
        let finding = Finding::new(check, verdict, begun.elapsed());
        if chosen.baseline.has(check.name) { finding.in_baseline() } else { finding }
    });
    let mut running = stream::iter(running).buffered(args.jobs.into());
    let mut found = Vec::new();
    while !out.has_lost_stdout() {
        let finding = tokio::select! {
            finding = running.next() => finding,
            () = interruptions.any() => return Report::new(name, found).noting(notes).interrupted(),
        };
        let Some(finding) = finding else { break };
        if !out.is_json() {
            finding.print(out);
        }
        found.push(finding);
    }
    let report = Report::new(name, found).noting(notes);
    if out.has_lost_stdout() { report.interrupted() } else { report }
}

/// Returns all checks, in the order of a launch.
fn checks() -> impl Iterator<Item = &'static Check> {
    [
        cookie::CHECKS,
        line::CHECKS,
        versions::CHECKS,
        security::CHECKS,
        services::CHECKS,
        logs::CHECKS,
        connections::CHECKS,
        ending::CHECKS,
        sockets::CHECKS,
        mux::CHECKS,
    ]
    .into_iter()
    .flatten()
}

/// The checks to run or skip, and the baseline.
struct Selection {
    checks: Vec<&'static Check>,
    left_out: Vec<String>,
    baseline: Baseline,
}

impl Selection {
    fn of(args: &ConformanceArgs) -> Result<Self, UsageError> {
        let checks = choose(&args.only)?;
        choose(&args.skip)?;
        let baseline = match &args.baseline {
            Some(path) => Baseline::read(path, self::checks())?,
            None => Baseline::default(),
        };
        Ok(Self { checks, left_out: args.skip.clone(), baseline })
    }

    fn leaves_out(&self, name: &str) -> bool {
        self.left_out.iter().any(|start| name.starts_with(start.as_str()))
    }
}

/// Returns the checks whose names start with one of these, or all checks.
fn choose(only: &[String]) -> Result<Vec<&'static Check>, UsageError> {
    for wanted in only {
        if !checks().any(|check| check.name.starts_with(wanted.as_str())) {
            let help = "see `rpcplugin conformance --list` for the names";
            return Err(UsageError::new(format!("there is no check {wanted:?}"), help));
        }
    }
    let wanted =
        |check: &&Check| only.is_empty() || only.iter().any(|name| check.name.starts_with(name.as_str()));
    Ok(checks().filter(wanted).collect())
}

fn list(out: &mut Out) {
    if out.is_json() {
        let all: Vec<_> = checks()
            .map(|Check { name, level, rule, advice, .. }| {
                serde_json::json!({ "name": name, "level": level, "rule": rule, "advice": advice })
            })
            .collect();
        out.json(&all);
        return;
    }
    for check in checks() {
        let level = match check.level {
            Level::Must => style::strong(format_args!("{:<6}", check.level)),
            _ => style::dim(format_args!("{:<6}", check.level)),
        };
        out.line(format_args!("{level} {}", check.name));
        out.beside("       ", check.rule);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_unique_and_chosen_by_their_beginning() {
        let names: BTreeSet<_> = checks().map(|check| check.name).collect();
        assert_eq!(names.len(), checks().count());
        assert_eq!(choose(&["shutdown".to_owned()]).unwrap().len(), 2);
        assert_eq!(choose(&[]).unwrap().len(), names.len());
        assert!(choose(&["no-such".to_owned()]).is_err());
    }
}
