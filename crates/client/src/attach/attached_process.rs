//! A process that another program started.

use std::{io, path::PathBuf, time::Duration};

use rpcplugin_core::{Endpoint, Pid};
use rpcplugin_transport::dial;
use tokio::time::{sleep, timeout};

use crate::{
    exit::ExitReason,
    os::{self, PidHandle, Signal},
    process::runner::PluginProcess,
};

/// The process of a plugin that another program started. Dropping it leaves the process running.
#[derive(Debug)]
pub(crate) struct AttachedProcess {
    endpoint: Endpoint,
    process: Option<Identified>,
    left_behind: LeftBehind,
}

/// The files that a plugin leaves behind.
#[derive(Debug)]
pub(crate) struct LeftBehind {
    /// A directory that an earlier host made for the plugin's socket.
    pub(crate) dir: Option<PathBuf>,
    /// Whether the socket stays. Other hosts and programs may look after it: a socket that a new process has made, and does
    /// not listen on yet, looks like one that was left.
    pub(crate) leaves_socket: bool,
}

/// A process that has the listening socket open. Its handle never means another process.
#[derive(Debug)]
struct Identified {
    pid: Pid,
    handle: PidHandle,
}

impl AttachedProcess {
    /// Finds the process that listens at `endpoint`. `recorded` is the pid in the reattach configuration.
    pub(crate) async fn find(endpoint: &Endpoint, recorded: Option<Pid>, left_behind: LeftBehind) -> Self {
        let process = Identified::find(endpoint, recorded).await;
        if let (Some(recorded), found) = (recorded, process.as_ref().map(|process| process.pid))
            && found != Some(recorded)
        {
            tracing::info!(
                %endpoint,
                recorded = recorded.get(),
                found = found.map(Pid::get),
                "the recorded process does not listen at the endpoint; it will not be signalled"
            );
        }
        Self { endpoint: endpoint.clone(), process, left_behind }
    }

    /// Resolves when no process listens at the endpoint any more. For a process that cannot be watched.
    async fn endpoint_closed(&self) {
        loop {
            sleep(DIAL_INTERVAL).await;
            let closed = |error: &io::Error| {
                matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused)
            };
            if let Ok(Err(error)) = timeout(REFUSAL, dial(&self.endpoint)).await
                && closed(&error.source)
            {
                return;
            }
        }
    }

    fn signal(&self, signal: Signal) {
        match &self.process {
            Some(process) => {
                if let Err(error) = process.handle.signal(signal) {
                    tracing::debug!(%error, %signal, "a signal could not be sent");
                }
            }
            None => tracing::warn!(
                endpoint = %self.endpoint,
                "the plugin does not end, and cannot be killed: its pid is not known"
            ),
        }
    }
}

impl PluginProcess for AttachedProcess {
    fn id(&self) -> String {
        self.pid().map_or_else(|| self.endpoint.to_string(), |pid| pid.to_string())
    }

    fn pid(&self) -> Option<Pid> {
        self.process.as_ref().map(|process| process.pid)
    }

    async fn wait(&mut self) -> ExitReason {
        match &self.process {
            Some(process) => process.handle.exited().await,
            None => self.endpoint_closed().await,
        }
        if let Endpoint::Unix(path) = &self.endpoint
            && !self.left_behind.leaves_socket
        {
            rpcplugin_transport::remove_stale_socket(path);
        }
        if let Some(dir) = self.left_behind.dir.take() {
            // Only if the directory is empty: other files in it belong to other programs.
            let _ = rpcplugin_transport::remove_empty_dir(&dir);
        }
        ExitReason::Unknown
    }

    async fn terminate(&mut self) {
        self.signal(Signal::TERM);
    }

    async fn kill(&mut self) {
        self.signal(Signal::KILL);
    }

    async fn leave(self) {}
}

impl Identified {
    /// Returns the recorded process if it has the listening socket open. Otherwise returns the process that the
    /// kernel reports for the socket, if that process has it open. Otherwise `None`.
    ///
    /// The kernel reports the process that called `listen`. That process may have passed the socket on, as systemd
    /// does. It may also have exited, and its pid may have passed to another process.
    async fn find(endpoint: &Endpoint, recorded: Option<Pid>) -> Option<Self> {
        let reported = os::listening_pid(endpoint, DIAL_INTERVAL).await;
        for pid in [recorded, reported].into_iter().flatten() {
            if let Some(process) = Self::hold(pid, endpoint).await {
                return Some(process);
            }
        }
        None
    }

    /// Opens a handle of the process with this pid, if that process listens at the endpoint.
    async fn hold(pid: Pid, endpoint: &Endpoint) -> Option<Self> {
        if pid.get() == INIT || pid == Pid::current() {
            return None;
        }
        let handle = PidHandle::of_listener(pid, endpoint, DIAL_INTERVAL).await?;
        Some(Self { pid, handle })
    }
}

/// The pid of init, which inherits orphaned plugins and opens sockets for others, and is not a plugin itself.
const INIT: u32 = 1;

/// The interval at which the endpoint is dialled, and the time in which the kernel names its listener.
const DIAL_INTERVAL: Duration = Duration::from_secs(1);

/// The time in which a system refuses a connection to a port without a listener. Windows tries for two seconds.
const REFUSAL: Duration = Duration::from_secs(4);

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::{
        os::{fd::OwnedFd, unix::net::UnixListener},
        process::{Command, Stdio},
    };

    use super::*;

    fn sleeper(stdin: Stdio) -> std::process::Child {
        Command::new("sleep").arg("1000").stdin(stdin).spawn().expect("a process")
    }

    #[tokio::test]
    async fn only_a_process_that_has_the_socket_open_is_identified() {
        if std::env::consts::OS != "linux" {
            return;
        }
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("socket");
        let socket = UnixListener::bind(&path).expect("bound");
        let endpoint = Endpoint::parse("unix", path.to_str().expect("UTF-8")).expect("an address");
        let mut other = sleeper(Stdio::null());
        let mut heir = sleeper(OwnedFd::from(socket.try_clone().expect("a second one")).into());
        let found = async |recorded: Option<u32>| {
            let recorded = recorded.and_then(Pid::new);
            Identified::find(&endpoint, recorded).await.map(|process| process.pid.get())
        };

        // The kernel names this process, which listens and is no plugin of another.
        assert_eq!(found(None).await, None);
        assert_eq!(found(Some(other.id())).await, None, "its number may have been a plugin's once");
        assert_eq!(found(Some(heir.id())).await, Some(heir.id()), "it was given the socket");
        drop(socket);
        assert_eq!(found(Some(heir.id())).await, Some(heir.id()));
        // Now the kernel names a process that does not have it any more, as if it had died and left its number.
        assert!(Identified::hold(Pid::current(), &endpoint).await.is_none());
        for child in [&mut other, &mut heir] {
            child.kill().expect("it runs");
            child.wait().expect("ours");
        }
    }
}
