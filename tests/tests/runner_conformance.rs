//! The conformance of runners: over runners that work, and over runners that do not.
#![cfg(target_os = "linux")]

use std::{path::PathBuf, sync::Arc, time::Duration};

use rpcplugin::{
    Command,
    host::{
        ChildProcess, ExitReason, LaunchEnvironment, LaunchFault, Pid, PluginProcess, Runner, StartedProcess,
    },
    testing::{CaseOutcome, InProcess, PluginBehavior, RunnerCase, RunnerConformance, RunnerReport},
};
use rpcplugin_tests::support::process_tree::ProcessTree;

/// The program of the conformance, which behaves as its argument says.
const PROGRAM: &str = env!("CARGO_BIN_EXE_runner-plugin");

/// The arguments of a shell before the program: it becomes the program, with a limit on its open files.
const LIMITED: &str = r#"ulimit -n 123 && exec "$@""#;

/// The same for a program whose stdout and stderr are one stream.
const MERGED: &str = r#"exec "$@" 2>&1"#;

/// The program, or one that does not exist.
fn program(behavior: PluginBehavior) -> &'static str {
    if behavior == PluginBehavior::Missing { "/nowhere/runner-plugin" } else { PROGRAM }
}

/// The command of a behavior.
fn plain(behavior: PluginBehavior) -> Command {
    Command::new(program(behavior)).arg(behavior.as_str())
}

/// The same through a shell.
fn shell(script: &str, behavior: PluginBehavior) -> Command {
    let shell = Command::new("/bin/sh").args(["-c", script, "sh"]);
    shell.arg(program(behavior)).arg(behavior.as_str())
}

/// The conformance of the runner that `runner` makes of a command. It looks for processes that are left.
fn conformance<R: Runner + 'static>(
    command: impl Fn(PluginBehavior) -> Command + Send + Sync + 'static,
    runner: impl Fn(Command) -> R + Send + Sync + 'static,
) -> RunnerConformance<R> {
    let started = Arc::new(ProcessTree::new());
    let left = Arc::clone(&started);
    RunnerConformance::new(move |behavior| Some(runner(started.mark(command(behavior)))))
        .leftovers(move || {
            let left = left.alive().iter().map(|pid| format!("process {pid}")).collect();
            async { left }
        })
        .silence(Duration::from_secs(2))
}

/// As [`conformance`], for these cases only, and without waiting long for what does not happen.
fn only<R: Runner + 'static>(
    cases: &[RunnerCase],
    conformance: RunnerConformance<R>,
) -> RunnerConformance<R> {
    let others = RunnerCase::ALL.into_iter().filter(|case| !cases.contains(case));
    let conformance = conformance.timeout(Duration::from_secs(5));
    others.fold(conformance, |conformance, case| conformance.without(case, "another test"))
}

#[track_caller]
fn all_pass(report: &RunnerReport) {
    let is_complete = report.results().len() == RunnerCase::ALL.len();
    let all = report.results().iter().all(|(_, outcome)| *outcome == CaseOutcome::Passed);
    assert!(is_complete && all && report.passed(), "{report}");
}

/// The case failed, and these words say why.
#[track_caller]
fn fails(report: &RunnerReport, case: RunnerCase, words: &str) {
    let outcome = report.outcome(case);
    assert!(!report.passed());
    assert!(matches!(outcome, Some(CaseOutcome::Failed(seen)) if seen.contains(words)), "{report}");
}

#[tokio::test]
async fn a_command_passes() {
    all_pass(&conformance(plain, |command| command).run().await);
    let multiplexing =
        conformance(plain, |command| command).host(|host| host.configure(|config| config.multiplex = true));
    all_pass(&multiplexing.run().await);
}

/// A runner of commands with a flaw, or with stdout and stderr in one stream.
struct Wrapped {
    command: Command,
    wrap: fn(StartedProcess<ChildProcess>) -> StartedProcess<WrappedProcess>,
}

struct WrappedProcess {
    process: Option<ChildProcess>,
    /// Whether the process cannot be killed.
    is_immortal: bool,
    /// Whether its end is reported as unknown.
    hides_status: bool,
}

impl Runner for Wrapped {
    type Process = WrappedProcess;

    fn program(&self) -> PathBuf {
        Runner::program(&self.command)
    }

    async fn start(
        &self,
        environment: &LaunchEnvironment,
    ) -> Result<StartedProcess<WrappedProcess>, LaunchFault> {
        Ok((self.wrap)(self.command.start(environment).await?))
    }
}

impl WrappedProcess {
    fn new(process: ChildProcess) -> Self {
        Self { process: Some(process), is_immortal: false, hides_status: false }
    }

    fn immortal(mut self) -> Self {
        self.is_immortal = true;
        self
    }

    fn hides_status(mut self) -> Self {
        self.hides_status = true;
        self
    }
}

impl PluginProcess for WrappedProcess {
    fn id(&self) -> String {
        self.process.as_ref().map_or_else(String::new, PluginProcess::id)
    }

    fn pid(&self) -> Option<Pid> {
        self.process.as_ref().and_then(PluginProcess::pid)
    }

    async fn wait(&mut self) -> ExitReason {
        let reason = match &mut self.process {
            Some(process) => process.wait().await,
            None => ExitReason::Unknown,
        };
        if self.hides_status { ExitReason::Unknown } else { reason }
    }

    async fn kill(&mut self) {
        if let Some(process) = self.process.as_mut().filter(|_| !self.is_immortal) {
            process.kill().await;
        }
    }
}

impl Drop for WrappedProcess {
    fn drop(&mut self) {
        if self.is_immortal {
            std::mem::forget(self.process.take());
        }
    }
}

/// Stdout and stderr in one stream.
fn merged(started: StartedProcess<ChildProcess>) -> StartedProcess<WrappedProcess> {
    StartedProcess::merged(WrappedProcess::new(started.process), started.stdout)
}

#[tokio::test]
async fn runners_that_change_a_command_pass() {
    all_pass(&conformance(|behavior| shell(LIMITED, behavior), |command| command).run().await);
    let merged = conformance(|behavior| shell(MERGED, behavior), |command| Wrapped { command, wrap: merged });
    all_pass(&merged.run().await);
}

#[tokio::test]
async fn a_plugin_in_this_process_passes_where_it_can() {
    let conformance = RunnerConformance::new(|behavior| {
        behavior.plugin().map(|_| InProcess::new(move || behavior.plugin().expect("as above")))
    });
    let report = conformance.without(RunnerCase::Log, "events go to the subscriber of the test").run().await;
    assert!(report.passed(), "{report}");
    let outcome = |case| report.outcome(case).unwrap();
    for case in [RunnerCase::Launch, RunnerCase::Several, RunnerCase::Restart] {
        assert_eq!(*outcome(case), CaseOutcome::Passed, "{report}");
    }
    for (case, reason) in [
        (RunnerCase::Log, "events go to the subscriber"),
        (RunnerCase::Drop, "`leftovers` is not given"),
        (RunnerCase::Exit, "the behavior `exits`"),
        (RunnerCase::Missing, "the behavior `missing`"),
    ] {
        assert!(
            matches!(outcome(case), CaseOutcome::Skipped(given) if given.contains(reason)),
            "{case}: {report}"
        );
    }
}

#[tokio::test]
async fn a_runner_that_loses_the_log_fails() {
    let wrapped = conformance(plain, |command| Wrapped {
        command,
        wrap: |started| {
            StartedProcess::new(WrappedProcess::new(started.process), started.stdout, tokio::io::empty())
        },
    });
    let report = only(&[RunnerCase::Log, RunnerCase::ExitEarly], wrapped).run().await;
    fails(&report, RunnerCase::Log, "0 of 100 lines");
    fails(&report, RunnerCase::ExitEarly, "the last lines on stderr are []");
}

#[tokio::test]
async fn a_runner_that_reports_no_status_fails() {
    let wrapped = conformance(plain, |command| Wrapped {
        command,
        wrap: |started| started.map(|process| WrappedProcess::new(process).hides_status()),
    });
    let report = only(&[RunnerCase::Exit, RunnerCase::ExitEarly], wrapped).run().await;
    fails(&report, RunnerCase::Exit, "another end than exit status 7: in an unknown way");
    fails(&report, RunnerCase::ExitEarly, "another end than exit status 3");
}

#[tokio::test]
async fn a_runner_that_leaves_processes_fails() {
    let wrapped = conformance(plain, |command| Wrapped {
        command,
        wrap: |started| started.map(|process| WrappedProcess::new(process).immortal()),
    });
    let report = only(&[RunnerCase::Kill, RunnerCase::Drop, RunnerCase::Silent], wrapped).run().await;
    fails(&report, RunnerCase::Kill, "still runs");
    fails(&report, RunnerCase::Drop, "left after 5s: process ");
    fails(&report, RunnerCase::Silent, "left after 5s: process ");
}

#[tokio::test]
async fn a_runner_that_notices_a_missing_program_late_fails() {
    let waits = conformance(
        |behavior| match behavior {
            PluginBehavior::Missing => plain(PluginBehavior::Silent),
            other => plain(other),
        },
        |command| command,
    );
    let report = only(&[RunnerCase::Missing], waits).run().await;
    fails(&report, RunnerCase::Missing, "noticed by a timeout only");
}
