//! Marked processes, and files in a directory.

use std::fs;
use std::os::unix::fs::FileTypeExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Every process of a scenario inherits this variable. Its value is the directory of the scenario.
pub(crate) const MARKER: &str = "RPCPLUGIN_TERRAFORM_MARKER";

/// The longest that a plugin may live after the exit of its host.
const GRACE: Duration = Duration::from_secs(1);

/// Kills and returns the marked processes that are alive after the grace. Empty without `/proc`.
pub(crate) fn survivors(marker: &str) -> Vec<String> {
    let deadline = Instant::now() + GRACE;
    while !marked(marker).is_empty() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(10));
    }
    kill_marked(marker)
}

/// Kills and returns the marked processes.
pub(crate) fn kill_marked(marker: &str) -> Vec<String> {
    let found = marked(marker);
    for (pid, _) in &found {
        kill(pid);
    }
    found.into_iter().map(|(pid, command)| format!("process {pid} ({command})")).collect()
}

/// Sends SIGKILL to a process or, as `-PID`, to its group. The target may have exited already.
pub(crate) fn kill(target: &str) {
    let _ = Command::new("kill").args(["-KILL", "--", target]).stderr(Stdio::null()).status();
}

/// Files and directories below this one, each with its kind.
pub(crate) fn files(directory: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let kind = match entry.file_type() {
            Ok(kind) if kind.is_dir() => "directory",
            Ok(kind) if kind.is_socket() => "socket",
            _ => "file",
        };
        found.push(format!("{kind} {}", entry.path().display()));
        if kind == "directory" {
            found.extend(files(&entry.path()));
        }
    }
    found
}

fn marked(marker: &str) -> Vec<(String, String)> {
    let needle = format!("{MARKER}={marker}");
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let environment = fs::read(entry.path().join("environ")).unwrap_or_default();
        if environment.split(|byte| *byte == 0).any(|variable| variable == needle.as_bytes()) {
            let command = fs::read(entry.path().join("cmdline")).unwrap_or_default();
            let command = String::from_utf8_lossy(&command).replace('\0', " ").trim().to_owned();
            found.push((entry.file_name().display().to_string(), command));
        }
    }
    found
}
