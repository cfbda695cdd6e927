//! Runs a program apart from all others, within a limit of time, and finds the processes and files that it leaves behind.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// Every process that is watched inherits this variable. Its value is the token of the run.
pub(crate) const MARKER: &str = "RPCPLUGIN_XTASK_MARKER";

/// How long a plugin may live after its host has exited.
const GRACE: Duration = Duration::from_secs(1);

/// A program that has ended.
pub(crate) struct Ended {
    /// `None` if the limit passed and the program was killed with every process that it had started.
    pub(crate) status: io::Result<Option<ExitStatus>>,
    pub(crate) elapsed: Duration,
    /// The files with its output.
    pub(crate) stdout: PathBuf,
    pub(crate) stderr: PathBuf,
    /// Processes that it left behind. They are killed.
    pub(crate) processes: Vec<String>,
    /// Files that it left in its temporary directory.
    pub(crate) files: Vec<String>,
}

/// Runs a command in a process group and with a temporary directory of its own. Its output goes to `NAME.out` and
/// `NAME.err` in the directory for logs.
pub(crate) fn run(command: &mut Command, name: &str, logs: &Path, limit: Duration) -> io::Result<Ended> {
    let token = format!("{}-{name}", std::process::id());
    // The path of a socket has to be short, and so has the path of its directory.
    let temporary = tempfile::Builder::new().prefix("ix").tempdir()?;
    fs::create_dir_all(logs)?;
    let [stdout, stderr] = ["out", "err"].map(|ending| logs.join(format!("{name}.{ending}")));
    command.env("TMPDIR", temporary.path()).env(MARKER, &token);
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(command, 0);
    command.stdin(Stdio::null()).stdout(File::create(&stdout)?).stderr(File::create(&stderr)?);
    let begin = Instant::now();
    let status = command.spawn().and_then(|mut child| wait(&mut child, &token, limit));
    let elapsed = begin.elapsed();
    let (processes, files) = (survivors(&token), files(temporary.path()));
    Ok(Ended { status, elapsed, stdout, stderr, processes, files })
}

/// Waits for the leader of a process group. After the limit it is killed with its group and with every process that has
/// the marker.
pub(crate) fn wait(child: &mut Child, token: &str, limit: Duration) -> io::Result<Option<ExitStatus>> {
    let leader = child.id();
    thread::scope(|scope| {
        let (sender, ended) = mpsc::channel();
        // A thread that waits takes no time of the processor, unlike a loop that asks every few milliseconds.
        scope.spawn(move || sender.send(child.wait()));
        ended.recv_timeout(limit).map_or_else(
            |_| {
                kill(&format!("-{leader}"));
                end(token);
                Ok(None)
            },
            |status| status.map(Some),
        )
    })
}

/// The marked processes that are still there after the grace. They are killed. Empty where there is no `/proc`.
pub(crate) fn survivors(token: &str) -> Vec<String> {
    let deadline = Instant::now() + GRACE;
    while !marked(token).is_empty() && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(10));
    }
    end(token).into_iter().map(|(pid, command)| format!("process {pid} ({command})")).collect()
}

/// Kills every marked process and does not wait for it.
pub(crate) fn end(token: &str) -> Vec<(u32, String)> {
    let found = marked(token);
    found.iter().for_each(|(pid, _)| kill(&pid.to_string()));
    found
}

/// Files and directories below this one, each with its kind.
pub(crate) fn files(directory: &Path) -> Vec<String> {
    fn collect(top: &Path, directory: &Path, found: &mut Vec<String>) {
        for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
            let path = entry.path();
            let kind = match entry.file_type() {
                Ok(kind) if kind.is_dir() => "directory",
                Ok(kind) if !kind.is_file() && !kind.is_symlink() => "socket",
                _ => "file",
            };
            found.push(format!("{kind} {}", path.strip_prefix(top).unwrap_or(&path).display()));
            if kind == "directory" {
                collect(top, &path, found);
            }
        }
    }
    let mut found = Vec::new();
    collect(directory, directory, &mut found);
    found.sort();
    found
}

/// The pid and the command line of each process that has the marker and that this user may look into.
fn marked(token: &str) -> Vec<(u32, String)> {
    let needle = format!("{MARKER}={token}");
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let environment = fs::read(entry.path().join("environ")).unwrap_or_default();
        if environment.split(|byte| *byte == 0).any(|variable| variable == needle.as_bytes()) {
            let command = fs::read(entry.path().join("cmdline")).unwrap_or_default();
            found.push((pid, String::from_utf8_lossy(&command).replace('\0', " ").trim().to_owned()));
        }
    }
    found
}

/// Sends SIGKILL. A target that has exited before is no fault.
fn kill(target: &str) {
    #[cfg(windows)]
    let _ = Command::new("taskkill").args(["/F", "/T", "/PID"]).arg(target.trim_start_matches('-')).status();
    #[cfg(unix)]
    let _ = Command::new("kill").args(["-KILL", "--"]).arg(target).stderr(Stdio::null()).status();
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;

    /// Runs a script of the shell within a limit.
    fn script(name: &str, text: &str, limit: Duration) -> (Ended, tempfile::TempDir) {
        let logs = tempfile::tempdir().unwrap();
        (run(Command::new("sh").args(["-c", text]), name, logs.path(), limit).unwrap(), logs)
    }

    #[test]
    fn processes_and_files_that_stay_are_found() {
        let text = "mkdir $TMPDIR/d; touch $TMPDIR/d/f; sleep 60 & exit 3";
        let (ended, _logs) = script("stay", text, Duration::from_secs(60));
        assert_eq!(ended.status.unwrap().unwrap().code(), Some(3));
        assert_eq!(ended.files, ["directory d", "file d/f"]);
        if cfg!(target_os = "linux") {
            assert_eq!(ended.processes.len(), 1, "{:?}", ended.processes);
            assert!(ended.processes[0].contains("sleep 60"), "{:?}", ended.processes);
        }
        let directory = tempfile::tempdir().unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(directory.path().join("s")).unwrap();
        assert_eq!(files(directory.path()), ["socket s"]);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_program_past_its_limit_is_killed_with_all_that_it_started() {
        // One child stays in the process group, one leaves it.
        let text = "setsid sleep 60 & sleep 60 & wait";
        let (ended, _logs) = script("late", text, Duration::from_secs(1));
        assert!(ended.status.unwrap().is_none());
        assert_eq!(ended.processes, Vec::<String>::new());
    }
}
