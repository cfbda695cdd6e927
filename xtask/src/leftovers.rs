//! What programs leave behind: processes and files.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Every process that is watched inherits this variable, with a value that it shares with those it belongs to.
pub(crate) const MARKER: &str = "RPCPLUGIN_XTASK_MARKER";

/// A plugin that was told to end may take this long to disappear once its host is gone.
const GRACE: Duration = Duration::from_secs(1);

/// A process that carries a marker.
struct Survivor {
    pid: u32,
    command: String,
}

/// The marked processes that are still there when their time is over. They are ended.
///
/// Empty where there is no `/proc`.
pub(crate) fn survivors(token: &str) -> Vec<String> {
    let deadline = Instant::now() + GRACE;
    let mut found = marked(token);
    while !found.is_empty() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(10));
        found = marked(token);
    }
    for survivor in &found {
        kill(&survivor.pid.to_string());
    }
    found.into_iter().map(|survivor| format!("process {} ({})", survivor.pid, survivor.command)).collect()
}

/// Ends every marked process without waiting for it.
pub(crate) fn end(token: &str) {
    for process in marked(token) {
        kill(&process.pid.to_string());
    }
}

/// Ends a whole process group, or on other systems than Unix nothing.
pub(crate) fn kill_group(leader: u32) {
    if cfg!(unix) {
        kill(&format!("-{leader}"));
    }
}

/// Files and directories below this one, each with its kind.
pub(crate) fn files(directory: &Path) -> Vec<String> {
    let mut found = Vec::new();
    collect(directory, directory, &mut found);
    found.sort();
    found
}

fn collect(top: &Path, directory: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        let kind = entry.file_type().ok();
        let name = path.strip_prefix(top).unwrap_or(&path).display().to_string();
        if kind.is_some_and(|kind| kind.is_dir()) {
            found.push(format!("directory {name}"));
            collect(top, &path, found);
        } else if kind.is_some_and(|kind| is_socket(&kind)) {
            found.push(format!("socket {name}"));
        } else {
            found.push(format!("file {name}"));
        }
    }
}

#[cfg(unix)]
fn is_socket(kind: &fs::FileType) -> bool {
    std::os::unix::fs::FileTypeExt::is_socket(kind)
}

#[cfg(not(unix))]
fn is_socket(_: &fs::FileType) -> bool {
    false
}

/// Looks through the environments of all processes that we may look into.
fn marked(token: &str) -> Vec<Survivor> {
    let needle = format!("{MARKER}={token}");
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let environment = fs::read(entry.path().join("environ")).unwrap_or_default();
        if environment.split(|byte| *byte == 0).any(|variable| variable == needle.as_bytes()) {
            let command = fs::read(entry.path().join("cmdline")).unwrap_or_default();
            let command = String::from_utf8_lossy(&command).replace('\0', " ").trim().to_owned();
            found.push(Survivor { pid, command });
        }
    }
    found
}

/// Sends SIGKILL. A target that is gone by now is what was wanted.
fn kill(target: &str) {
    let _ = Command::new("kill").args(["-KILL", "--"]).arg(target).stderr(Stdio::null()).status();
}

/// Waits until these programs show the marker: for a moment after it starts, a process has no environment yet.
#[cfg(test)]
pub(crate) fn wait_for(token: &str, programs: &[&str]) {
    let deadline = Instant::now() + Duration::from_secs(10);
    let count = |program: &str| {
        marked(token).iter().filter(|process| process.command.split(' ').next() == Some(program)).count()
    };
    let wanted = |program: &str| programs.iter().filter(|other| **other == program).count();
    while !programs.iter().all(|program| count(program) == wanted(program)) {
        assert!(Instant::now() < deadline, "{programs:?} did not start");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn a_process_that_stays_is_found_and_ended() {
        let token = format!("test-{}", std::process::id());
        let mut command = Command::new("sleep");
        command.arg("60").env(MARKER, &token).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        wait_for(&token, &["sleep"]);
        let found = survivors(&token);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].contains("sleep 60"), "{found:?}");
        assert!(!child.wait().unwrap().success());
        assert!(survivors(&token).is_empty());
    }

    #[test]
    #[cfg(unix)]
    fn files_are_told_with_their_kind() {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("d")).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(directory.path().join("d/s")).unwrap();
        fs::write(directory.path().join("f"), "").unwrap();
        assert_eq!(files(directory.path()), ["directory d", "file f", "socket d/s"]);
    }
}
