//! The parent process.

use std::{future, os::windows::io::OwnedHandle, sync::Arc, thread, time::Duration};

use tokio::sync::oneshot;

use super::process;

/// The process that started this one.
pub(crate) struct Parent(State);

enum State {
    Running(OwnedHandle),
    /// The parent has exited, and its pid may belong to another process.
    Exited,
    /// The system does not let this process watch its parent.
    Unknown,
}

impl Parent {
    /// The parent. A process keeps its parent here: one that has exited is not replaced.
    pub(crate) fn current() -> Self {
        Self(match process::parent_pid().and_then(process::open) {
            Ok(Some(parent)) if started_before_this(&parent) => State::Running(parent),
            Ok(_) => State::Exited,
            Err(error) => {
                tracing::debug!(%error, "the host cannot be watched: its exit does not end this plugin");
                State::Unknown
            }
        })
    }

    /// Resolves when the parent has exited.
    pub(crate) async fn exited(self) {
        match self.0 {
            State::Running(parent) => exited(parent).await,
            State::Exited => {}
            State::Unknown => future::pending().await,
        }
    }
}

/// The pid of the process that started this one. It may have exited.
pub(crate) fn parent_pid() -> Option<u32> {
    process::parent_pid().ok()
}

/// Whether the process can be the parent. One that was given the pid of the parent later started later, too.
fn started_before_this(parent: &OwnedHandle) -> bool {
    match (process::start_time(parent), process::own_start_time()) {
        (Ok(parent), Ok(own)) => parent <= own,
        _ => true,
    }
}

/// Resolves when a process has exited. A thread waits for it. If this future is dropped, the thread ends within a second.
async fn exited(process: OwnedHandle) {
    let process = Arc::new(process);
    let (ends, ended) = oneshot::channel();
    let waiting = thread::Builder::new().name("rpcplugin-host".to_owned()).stack_size(64 << 10).spawn({
        let process = Arc::clone(&process);
        move || {
            while !process::wait(&process, LOOK_INTERVAL) && !ends.is_closed() {}
            let _ = ends.send(());
        }
    });
    if waiting.is_ok() {
        let _ = ended.await;
    } else {
        while !process::wait(&process, Duration::ZERO) {
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
    }
}

/// How often the thread looks whether its result is still wanted.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use std::{
        io::{self, BufRead as _, BufReader, Read as _, Write as _},
        process::{Child, Command, Stdio},
    };

    use super::*;

    /// The variable of the process that runs [`the_child`].
    const THE_CHILD: &str = "RPCPLUGIN_TEST_THE_CHILD";

    /// Runs [`the_child`], which compares its parent's pid with `pid`.
    fn child(pid: u32) -> Child {
        let mut child = Command::new(std::env::current_exe().expect("a program"))
            .args(["--exact", "os::windows::parent::tests::the_child", "--nocapture"])
            .env(THE_CHILD, "")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("started");
        writeln!(child.stdin.as_mut().expect("piped"), "{pid}").expect("written");
        child
    }

    /// A test of its own only in the child.
    #[test]
    fn the_child() {
        if std::env::vars_os().all(|(name, _)| name != THE_CHILD) {
            return;
        }
        let mut pid = String::new();
        io::stdin().read_line(&mut pid).expect("a line");
        assert_eq!(process::parent_pid().expect("there is one").to_string(), pid.trim());
        assert!(matches!(Parent::current().0, State::Running(_)), "the parent runs");
        writeln!(io::stdout(), "found").expect("written");
        // Until the parent lets it end.
        let _ = io::stdin().read_to_end(&mut Vec::new());
    }

    #[tokio::test]
    async fn a_process_finds_its_parent_and_its_exit_is_seen() {
        let mut child = child(std::process::id());
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        assert!(lines.any(|line| line.expect("read").ends_with("found")), "the child has found this process");
        let handle = process::open(child.id()).expect("allowed").expect("it runs");
        assert!(!started_before_this(&handle), "the child is no parent");
        assert!(!process::wait(&handle, Duration::ZERO), "it runs");
        let ended = exited(handle);
        drop(child.stdin.take());
        ended.await;
        assert!(child.wait().expect("it has exited").success());
    }
}
