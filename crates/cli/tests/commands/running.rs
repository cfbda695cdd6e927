//! Plugins of this repository, and runs of `run`.

use std::{
    io::{BufRead as _, BufReader, Read as _},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// Returns a program of the workspace's tests. Returns `None` if only this crate is built, unless peers are required.
#[expect(
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "the environment names the tests that must not be skipped"
)]
pub(crate) fn of_the_tests(program: &str) -> Option<PathBuf> {
    let path = PathBuf::from(env!("CARGO_BIN_EXE_rpcplugin")).with_file_name(program);
    if path.exists() {
        return Some(path);
    }
    let required = std::env::var_os("RPCPLUGIN_REQUIRE").unwrap_or_default();
    assert!(required.is_empty(), "{} is not there", path.display());
    eprintln!("skipped: {} is not there; `cargo build -p rpcplugin-tests` builds it", path.display());
    None
}

/// Returns the conformance plugin of this repository.
pub(crate) fn kit() -> Option<PathBuf> {
    of_the_tests("kit-plugin")
}

/// Returns the .proto file of the conformance plugin.
pub(crate) fn kit_proto() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../proto/conformance/v1/kit.proto")
}

/// `rpcplugin --json run`, with what it prints.
pub(crate) struct Running {
    child: Child,
    stdout: BufReader<ChildStdout>,
    /// The line with `kind` `ready`.
    pub(crate) ready: Value,
}

impl Running {
    /// Runs a plugin and waits until it is ready.
    pub(crate) fn start(args: &[&str], plugin: &Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_rpcplugin"))
            .args(["--json", "run"])
            .args(args)
            .arg(plugin)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let mut this = Self { child, stdout, ready: Value::Null };
        this.ready = this.until("ready");
        this
    }

    /// The next line of this kind.
    #[track_caller]
    pub(crate) fn until(&mut self, kind: &str) -> Value {
        self.until_any(&[kind])
    }

    /// The next line of one of these kinds.
    #[track_caller]
    pub(crate) fn until_any(&mut self, kinds: &[&str]) -> Value {
        let lines = (&mut self.stdout).lines().map_while(Result::ok);
        let mut values = lines.map(|line| serde_json::from_str::<Value>(&line).unwrap());
        values.find(|value| kinds.iter().any(|kind| value["kind"] == *kind)).unwrap()
    }

    /// Returns the reattach JSON.
    pub(crate) fn reattach(&self) -> String {
        self.ready["reattach"].to_string()
    }

    pub(crate) fn plugin(&self) -> i32 {
        self.ready["pid"].as_i64().unwrap().try_into().unwrap()
    }

    /// Sends a signal to the program and returns its status and its last words.
    pub(crate) fn end_with(self, signal: Signal) -> (Option<i32>, String) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
        self.end()
    }

    /// Waits for the program's end.
    pub(crate) fn end(mut self) -> (Option<i32>, String) {
        let mut rest = String::new();
        self.stdout.read_to_string(&mut rest).unwrap();
        (self.child.wait().unwrap().code(), rest)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
