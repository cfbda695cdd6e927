//! Runs of the program, and the plugins for them.

use std::{
    env::consts::EXE_SUFFIX,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

const PROGRAM: &str = env!("CARGO_BIN_EXE_rpcplugin");

/// The result of a run of the program.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs the program with its own temporary directory, which must be empty afterwards.
#[track_caller]
pub(crate) fn rpcplugin<A: AsRef<std::ffi::OsStr>>(args: impl IntoIterator<Item = A>) -> Run {
    rpcplugin_into(Stdio::piped(), args)
}

/// Runs the program in the same way, with another stdout.
#[track_caller]
pub(crate) fn rpcplugin_into<A: AsRef<std::ffi::OsStr>>(
    stdout: impl Into<Stdio>,
    args: impl IntoIterator<Item = A>,
) -> Run {
    let tmp = tempfile::Builder::new().prefix("rp").tempdir().unwrap();
    let output = Command::new(PROGRAM)
        .args(args)
        .env(if cfg!(windows) { "TMP" } else { "TMPDIR" }, tmp.path())
        .env_remove("RPCPLUGIN_COOKIE")
        .stdin(Stdio::null())
        .stdout(stdout)
        .stderr(Stdio::piped())
        .spawn()
        .and_then(Child::wait_with_output)
        .unwrap();
    let Output { status, stdout, stderr } = output;
    let left: Vec<_> = std::fs::read_dir(tmp.path()).unwrap().flatten().map(|entry| entry.path()).collect();
    assert!(left.is_empty(), "{left:?} is left");
    Run {
        code: status.code(),
        stdout: String::from_utf8_lossy(&stdout).into_owned(),
        stderr: String::from_utf8_lossy(&stderr).into_owned(),
    }
}

/// Starts the program.
pub(crate) fn start<A: AsRef<std::ffi::OsStr>>(args: impl IntoIterator<Item = A>) -> Child {
    let mut command = Command::new(PROGRAM);
    command.args(args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().unwrap()
}

impl Run {
    #[track_caller]
    pub(crate) fn ended_with(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}\n{}", self.stdout, self.stderr);
        self
    }

    #[track_caller]
    pub(crate) fn prints(self, words: &[&str]) -> Self {
        let printed = format!("{}\n{}", self.stdout, self.stderr);
        for word in words {
            assert!(printed.contains(word), "{word:?} is missing in {printed}");
        }
        self
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap()
    }
}

/// Waits until `probe` returns a value, for at most 20 seconds.
#[track_caller]
pub(crate) fn eventually<T>(mut probe: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        if let Some(value) = probe() {
            return value;
        }
        assert!(Instant::now() < deadline, "not within 20 s");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Writes a shell script, and returns its path.
#[cfg(unix)]
pub(crate) fn script(dir: &Path, name: &str, content: &str) -> PathBuf {
    use std::os::unix::fs::PermissionsExt as _;
    let path = dir.join(name);
    std::fs::write(&path, format!("#!/bin/sh\n{content}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

/// Returns the example plugin of this crate.
pub(crate) fn basic_plugin() -> PathBuf {
    Path::new(PROGRAM).parent().unwrap().join(format!("examples/basic-plugin{EXE_SUFFIX}"))
}

/// Returns the target directory.
pub(crate) fn target() -> PathBuf {
    Path::new(PROGRAM).ancestors().nth(2).unwrap().to_owned()
}

/// Returns a plugin in another language. Returns `None` if it is not built, unless it is required.
#[expect(
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "the environment names the tests that must not be skipped"
)]
pub(crate) fn peer(language: &str, program: &str) -> Option<PathBuf> {
    let path = target().join("interop").join(language).join(program);
    if path.exists() {
        return Some(path);
    }
    let required = std::env::var_os("RPCPLUGIN_REQUIRE").unwrap_or_default();
    assert!(!required.to_string_lossy().contains(language), "{} is not there", path.display());
    eprintln!("skipped: {} is not there; `cargo xtask interop` builds it", path.display());
    None
}
