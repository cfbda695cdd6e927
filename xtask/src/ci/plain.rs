//! The tests with cargo alone, as a machine without nextest runs them.

use std::fs;
use std::path::Path;

use super::steps::by_cargo;
use super::{Step, Verdict, run_command};
use crate::workspace::{Outcome, Workspace, cargo};

/// Builds the examples as programs, which tests start. `cargo test --examples` would build them as tests only.
const EXAMPLES: &str = "build --workspace --examples";

/// Runs what nextest runs; the tests in documentation are a step of their own.
const TESTS: &str = "test --workspace --no-fail-fast --lib --bins --tests";

/// The tests that can tell the two runners apart: those that start examples and programs of other crates, or send signals
/// to what they start. Their names select them in the whole workspace, so that nothing is built with other features.
const DIFFERENT: &str = "test --workspace --no-fail-fast --test checks --test commands --test plugin --test host_killed --test examples";

/// The step "tests", where nextest is missing.
pub(super) fn all(environment: &[(&'static str, String)]) -> Step {
    let run = by_cargo("tests", TESTS, environment);
    let reproduce = format!("cargo {EXAMPLES} && {}", run.reproduce);
    let action = Box::new(move || match run_command(cargo(EXAMPLES.split(' ')), &[]) {
        Verdict::Pass => (run.action)(),
        failed => failed,
    });
    Step { reproduce, action, ..run }
}

/// A step beside nextest, so that the step above does not rot: its way to build, upon no example that was built before, and
/// those of its tests that can tell the runners apart, as a background job that ignores the keyboard's signals.
pub(super) fn sample(environment: &[(&'static str, String)]) -> Step {
    let environment = environment.to_vec();
    let reproduce = format!("cargo {EXAMPLES} && nohup cargo {DIFFERENT}");
    let action = Box::new(move || {
        if let Err(error) = remove_examples() {
            return Verdict::Fail(format!("the examples cannot be removed: {error}"));
        }
        match run_command(cargo(EXAMPLES.split(' ')), &[]) {
            Verdict::Pass => run_command(in_background(DIFFERENT), &environment),
            failed => failed,
        }
    });
    Step { name: "tests: cargo alone", reproduce, action }
}

/// Cargo with SIGINT, SIGQUIT and SIGHUP ignored and no standard input, which all that it starts inherits.
fn in_background(line: &str) -> std::process::Command {
    let plain = cargo(line.split(' '));
    let mut command = std::process::Command::new("sh");
    command.args(["-c", "trap '' INT QUIT HUP; exec \"$0\" \"$@\""]);
    command.arg(plain.get_program()).args(plain.get_args());
    if let Some(directory) = plain.get_current_dir() {
        command.current_dir(directory);
    }
    for (name, value) in plain.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command.stdin(std::process::Stdio::null());
    command
}

/// Removes the examples under the names by which tests start them, and leaves what cargo needs to put them there again.
fn remove_examples() -> Outcome {
    let directory = Workspace::load()?.target.join("debug/examples");
    if !directory.exists() {
        return Ok(());
    }
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_file() && is_program(&path) {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

/// Whether this is `name` and not `name.d` nor `name-0123456789abcdef`.
fn is_program(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let is_hash = |end: &str| end.len() == 16 && end.bytes().all(|byte| byte.is_ascii_hexdigit());
    !name.contains('.') && !name.rsplit_once('-').is_some_and(|(_, end)| is_hash(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_programs_are_removed() {
        assert!(is_program(Path::new("x/basic-plugin")) && is_program(Path::new("quickstart")));
        for kept in ["basic-plugin.d", "basic-plugin-0123456789abcdef", "libkv-0123456789abcdef.rmeta"] {
            assert!(!is_program(Path::new(kept)), "{kept}");
        }
    }

    #[test]
    #[cfg(unix)]
    fn a_background_job_ignores_the_keyboard() {
        let script = "kill -INT $$; kill -QUIT $$; kill -HUP $$; exit 7";
        let mut command = in_background("version");
        let arguments: Vec<_> = command.get_args().take(2).map(ToOwned::to_owned).collect();
        command = std::process::Command::new("sh");
        let status = command.args(arguments).args(["sh", "-c", script]).status().unwrap();
        assert_eq!(status.code(), Some(7));
    }
}
