//! The tests with cargo alone, for machines without nextest.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use super::{Step, Verdict, by_cargo, run_command};
use crate::workspace::{Outcome, Workspace, cargo, forget_cargo, root};

/// Builds the examples as programs, because tests start them. `cargo test --examples` would build them as tests only.
const EXAMPLES: &str = "build --workspace --examples";

/// Runs the tests of nextest. The tests in documentation are a step of their own.
const TESTS: &str = "test --workspace --no-fail-fast --lib --bins --tests";

/// The tests whose results may depend on the runner: they start examples and programs of other crates, or send signals to
/// processes that they started. Their names select them in the whole workspace, so that nothing is built with other features.
const SAMPLE: &str =
    "test --workspace --no-fail-fast --test checks --test plugin --test host_killed --test examples";

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

/// A step beside nextest that keeps the step above working. It builds in the same way, after the examples are removed, and
/// runs the sample as a background job that ignores the keyboard's signals.
pub(super) fn sample(environment: &[(&'static str, String)]) -> Step {
    let environment = environment.to_vec();
    let reproduce = format!("cargo {EXAMPLES} && nohup cargo {SAMPLE}");
    let action = Box::new(move || {
        if let Err(error) = remove_examples() {
            return Verdict::Fail(format!("the examples cannot be removed: {error}"));
        }
        match run_command(cargo(EXAMPLES.split(' ')), &[]) {
            Verdict::Pass => run_command(in_background(SAMPLE), &environment),
            failed => failed,
        }
    });
    Step::new("tests: cargo alone", reproduce, action)
}

/// Cargo without standard input and with SIGINT, SIGQUIT and SIGHUP ignored. All of its children inherit this.
fn in_background(line: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", "trap '' INT QUIT HUP; exec cargo \"$@\"", "sh"]).args(line.split(' '));
    forget_cargo(&mut command);
    command.current_dir(root()).stdin(Stdio::null());
    command
}

/// Removes the examples under the names by which tests start them, and leaves the files from which cargo links them again.
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
    fn a_background_job_ignores_the_keyboard() {
        let command = in_background("version");
        let script: Vec<_> = command.get_args().take(2).collect();
        let script = script[1].to_str().unwrap().replace("exec cargo \"$@\"", "sh -c \"$@\"; exit $?");
        let kill = "kill -INT $$; kill -QUIT $$; kill -HUP $$; exit 7";
        let status = Command::new("sh").args(["-c", &script, "sh", kill]).status().unwrap();
        assert_eq!(status.code(), Some(7));
    }
}
