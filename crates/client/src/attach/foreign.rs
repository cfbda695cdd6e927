//! A process that this host did not start.

use std::{io, path::PathBuf, time::Duration};

use rpcplugin_core::Endpoint;
use rpcplugin_transport::{Stream, dial};
use tokio::time::{sleep, timeout};

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
            let _ = std::fs::remove_dir(dir);
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
    /// Finds the process by who listens, and holds on to it before it is made sure that it still is the one.
    async fn find(endpoint: &Endpoint, written: Option<u32>) -> Option<Self> {
        use rustix::process::{Pid, PidfdFlags, pidfd_open};

        let pid = listener(endpoint, written).await?;
        let raw = Pid::from_raw(i32::try_from(pid).ok()?)?;
        let pidfd = pidfd_open(raw, PidfdFlags::NONBLOCK).ok()?;
        let pidfd = rpcplugin_transport::async_fd(pidfd, tokio::io::Interest::READABLE).ok()?;
        let still = listener(endpoint, written).await? == pid;
        still.then_some(Self { pid, pidfd })
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

/// The process that listens at `endpoint`: as the kernel tells whoever connects to a Unix socket, and for TCP the one
/// written down if it has the listening socket open.
#[cfg(target_os = "linux")]
async fn listener(endpoint: &Endpoint, written: Option<u32>) -> Option<u32> {
    match endpoint {
        Endpoint::Unix(_) => match timeout(DOOR_POLL, dial(endpoint)).await.ok()?.ok()? {
            Stream::Unix(stream) => {
                u32::try_from(stream.peer_cred().ok()?.pid()?).ok().filter(|pid| *pid != 0)
            }
            _ => None,
        },
        Endpoint::Tcp(address) => written.filter(|pid| listens(*pid, address.port())),
        _ => None,
    }
}

/// Whether a process of this user has a listening TCP socket with this port open.
#[cfg(target_os = "linux")]
fn listens(pid: u32, port: u16) -> bool {
    let tables = ["tcp", "tcp6"].map(|table| std::fs::read_to_string(format!("/proc/{pid}/net/{table}")));
    let lines = tables.iter().flatten().flat_map(|table| table.lines());
    let sockets: Vec<String> =
        lines.filter_map(|line| listening(line, port)).map(|inode| format!("socket:[{inode}]")).collect();
    let open = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    let mut targets = open.filter_map(|fd| std::fs::read_link(fd.path()).ok());
    targets.any(|target| sockets.iter().any(|socket| target.as_os_str() == socket.as_str()))
}

/// The inode in a line of `/proc/net/tcp`, if that is a socket that listens on this port.
#[cfg(target_os = "linux")]
fn listening(line: &str, port: u16) -> Option<&str> {
    let mut columns = line.split_whitespace().skip(1);
    let (_, local_port) = columns.next()?.rsplit_once(':')?;
    let state = columns.nth(1)?;
    let inode = columns.nth(5)?;
    (state == "0A" && u16::from_str_radix(local_port, 16).is_ok_and(|local| local == port)).then_some(inode)
}

/// How often it is tried whether anybody listens, and how long that may take.
const DOOR_POLL: Duration = Duration::from_secs(1);

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn knows_who_listens() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("bound").port();
        let me = std::process::id();
        assert!(listens(me, port));
        drop(listener);
        assert!(!listens(me, port));
        assert!(!listens(1, port) && !listens(u32::MAX, port));
    }
}
