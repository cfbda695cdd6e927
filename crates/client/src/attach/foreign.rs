//! A process that this host did not start.

use std::{io, path::PathBuf, time::Duration};

use rpcplugin_core::Endpoint;
use rpcplugin_transport::dial;
#[cfg(target_os = "linux")]
use rpcplugin_transport::{Stream, start_time};
use tokio::time::{sleep, timeout};

#[cfg(target_os = "linux")]
use super::listening::listens;
use crate::{exit::ExitReason, runner::Running};

/// A plugin's process that somebody else started. Dropping it leaves it running.
#[derive(Debug)]
pub(crate) struct Foreign {
    endpoint: Endpoint,
    process: Option<Known>,
    /// A directory that an earlier host made for the plugin's socket.
    leftover: Option<PathBuf>,
}

/// A process whose number cannot pass to another one unnoticed.
#[derive(Debug)]
struct Known {
    pid: u32,
    #[cfg(target_os = "linux")]
    pidfd: tokio::io::unix::AsyncFd<std::os::fd::OwnedFd>,
}

impl Foreign {
    /// The process that listens at `endpoint`, if that can be told. `written` is the number that was written down.
    pub(crate) async fn find(endpoint: &Endpoint, written: Option<u32>, leftover: Option<PathBuf>) -> Self {
        let process = Known::find(endpoint, written).await;
        if let (Some(written), found) = (written, process.as_ref().map(|known| known.pid))
            && found != Some(written)
        {
            tracing::info!(
                %endpoint,
                written,
                ?found,
                "the process that was written down is not seen to listen there; it will not be signalled"
            );
        }
        Self { endpoint: endpoint.clone(), process, leftover }
    }

    /// Without a process that can be watched: asks at its door.
    async fn nobody_listens(&self) {
        loop {
            sleep(DOOR_POLL).await;
            let gone = |error: &io::Error| {
                matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused)
            };
            if let Ok(Err(error)) = timeout(DOOR_POLL, dial(&self.endpoint)).await
                && gone(&error.source)
            {
                return;
            }
        }
    }
}

impl Running for Foreign {
    fn id(&self) -> String {
        self.pid().map_or_else(|| self.endpoint.to_string(), |pid| pid.to_string())
    }

    fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(|known| known.pid)
    }

    async fn wait(&mut self) -> ExitReason {
        match &self.process {
            Some(known) => known.end().await,
            None => self.nobody_listens().await,
        }
        if let Endpoint::Unix(path) = &self.endpoint {
            rpcplugin_transport::remove_stale_socket(path);
        }
        if let Some(dir) = self.leftover.take() {
            // Only if it is empty, and what else could be in there is not ours.
            let _ = rpcplugin_transport::remove_empty_dir(&dir);
        }
        ExitReason::Unknown
    }

    async fn terminate(&mut self) {
        self.signal(rustix::process::Signal::TERM);
    }

    async fn kill(&mut self) {
        self.signal(rustix::process::Signal::KILL);
    }

    async fn leave(self) {}
}

impl Foreign {
    fn signal(&self, signal: rustix::process::Signal) {
        match &self.process {
            Some(known) => {
                if let Err(error) = known.signal(signal) {
                    tracing::debug!(%error, ?signal, "a signal could not be sent");
                }
            }
            None => tracing::warn!(
                endpoint = %self.endpoint,
                "the plugin does not end, and cannot be killed: it is not known which process it is"
            ),
        }
    }
}

#[cfg(target_os = "linux")]
impl Known {
    /// The process that is written down if it has the listening socket open, and otherwise the one that the kernel names
    /// to whoever connects, if that has it open. Nobody if in doubt.
    ///
    /// The kernel names who called `listen`. That process may have left the socket to others, as systemd does; it may
    /// have ended long ago, and its number have passed to a stranger.
    async fn find(endpoint: &Endpoint, written: Option<u32>) -> Option<Self> {
        let named = listener(endpoint).await;
        [written, named].into_iter().flatten().find_map(|pid| Self::hold(pid, endpoint))
    }

    /// Holds on to the process with this number, if it listens at the endpoint.
    fn hold(pid: u32, endpoint: &Endpoint) -> Option<Self> {
        use rustix::process::{Pid, PidfdFlags, pidfd_open};

        if [INIT, std::process::id()].contains(&pid) {
            return None;
        }
        let before = start_time(pid)?;
        let raw = Pid::from_raw(i32::try_from(pid).ok()?)?;
        let pidfd = pidfd_open(raw, PidfdFlags::NONBLOCK).ok()?;
        let pidfd = rpcplugin_transport::async_fd(pidfd, tokio::io::Interest::READABLE).ok()?;
        // The same number with the same start, before and after: what was held and what was looked at are one process.
        let is_the_one = listens(pid, endpoint) && start_time(pid) == Some(before);
        is_the_one.then_some(Self { pid, pidfd })
    }

    async fn end(&self) {
        // Only a closed reactor could fail here, and then nobody waits any more.
        let _ = self.pidfd.readable().await;
    }

    fn signal(&self, signal: rustix::process::Signal) -> io::Result<()> {
        Ok(rustix::process::pidfd_send_signal(&self.pidfd, signal)?)
    }
}

/// Without pidfds a process is never certain, and therefore never signalled.
#[cfg(not(target_os = "linux"))]
impl Known {
    async fn find(_: &Endpoint, _: Option<u32>) -> Option<Self> {
        None
    }

    async fn end(&self) {
        std::future::pending().await
    }

    fn signal(&self, _: rustix::process::Signal) -> io::Result<()> {
        Ok(())
    }
}

/// The process that the kernel says listens at `endpoint`.
#[cfg(target_os = "linux")]
async fn listener(endpoint: &Endpoint) -> Option<u32> {
    if !matches!(endpoint, Endpoint::Unix(_)) {
        return None;
    }
    let Stream::Unix(stream) = timeout(DOOR_POLL, dial(endpoint)).await.ok()?.ok()? else { return None };
    u32::try_from(stream.peer_cred().ok()?.pid()?).ok().filter(|pid| *pid != 0)
}

/// Which plugins have for a parent, and for a socket's first owner, but not for a plugin.
#[cfg(target_os = "linux")]
const INIT: u32 = 1;

/// How often it is tried whether anybody listens, and how long that may take.
const DOOR_POLL: Duration = Duration::from_secs(1);

#[cfg(all(test, target_os = "linux"))]
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
    async fn only_who_has_the_socket_open_is_meant() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("socket");
        let socket = UnixListener::bind(&path).expect("bound");
        let endpoint = Endpoint::parse("unix", path.to_str().expect("UTF-8")).expect("an address");
        let mut stranger = sleeper(Stdio::null());
        let mut heir = sleeper(OwnedFd::from(socket.try_clone().expect("a second one")).into());
        let found = async |written: Option<u32>| Known::find(&endpoint, written).await.map(|known| known.pid);

        // The kernel names this process, which listens and is no plugin of another.
        assert_eq!(found(None).await, None);
        assert_eq!(found(Some(stranger.id())).await, None, "its number may have been a plugin's once");
        assert_eq!(found(Some(heir.id())).await, Some(heir.id()), "it was given the socket");
        drop(socket);
        assert_eq!(found(Some(heir.id())).await, Some(heir.id()));
        // Now the kernel names a process that does not have it any more, as if it had died and left its number.
        assert!(Known::hold(std::process::id(), &endpoint).is_none());
        for child in [&mut stranger, &mut heir] {
            child.kill().expect("it runs");
            child.wait().expect("ours");
        }
    }
}
