//! Processes of other parents.

use std::{io, os::windows::io::OwnedHandle, time::Duration};

use rpcplugin_core::{Endpoint, Pid};

use super::{
    exit_status::{CONTROL_C_EXIT, KILLED},
    exit_wait::ExitWait,
    handles,
    listeners::listens,
};
use crate::os::signal::Signal;

/// A process by its handle, which never means another process.
#[derive(Debug)]
pub(crate) struct PidHandle {
    process: OwnedHandle,
    exit: ExitWait,
}

impl PidHandle {
    /// Opens the process that has this pid now.
    fn open(pid: Pid) -> io::Result<Self> {
        let process = handles::open(pid)?;
        let exit = ExitWait::start(process.try_clone()?)?;
        Ok(Self { process, exit })
    }

    /// Opens the process with this pid, if that process listens at the endpoint, a TCP port of this machine.
    pub(crate) async fn of_listener(pid: Pid, endpoint: &Endpoint, _: Duration) -> Option<Self> {
        let handle = Self::open(pid).ok()?;
        // No other process gets the pid as long as the handle is open.
        listens(pid, endpoint).then_some(handle)
    }

    /// Resolves when the process has exited.
    ///
    /// # Cancel safety
    /// May be dropped and called again.
    pub(crate) async fn exited(&self) {
        self.exit.exited().await;
    }

    /// Ends the process at once, on SIGTERM too: a process of another parent leads no group that could be asked.
    pub(crate) fn signal(&self, signal: Signal) -> io::Result<()> {
        match signal {
            Signal::KILL => handles::terminate(&self.process, KILLED),
            Signal::TERM => handles::terminate(&self.process, CONTROL_C_EXIT),
            _ => Err(io::ErrorKind::Unsupported.into()),
        }
    }
}

/// The pid of the process that listens at the endpoint. Not looked for: what listens at a TCP port may be a tunnel or the
/// proxy of a container, and is signalled only if it is the recorded process.
pub(crate) async fn listening_pid(_: &Endpoint, _: Duration) -> Option<Pid> {
    None
}

#[cfg(test)]
mod tests {
    use std::{
        net::TcpListener,
        process::{Command, Stdio},
    };

    use tokio::time::timeout;

    use super::*;
    use crate::os::signal_of;

    #[tokio::test]
    async fn a_process_is_watched_and_ended() {
        // Without a command it waits for its input.
        let mut child =
            Command::new("cmd").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().expect("started");
        let handle = PidHandle::open(Pid::new(child.id()).expect("not 0")).expect("it runs");
        assert!(timeout(Duration::from_millis(20), handle.exited()).await.is_err(), "it runs");
        assert!(handle.signal(Signal::STOP).is_err());
        handle.signal(Signal::TERM).expect("it is ours");
        for _ in 0..2 {
            timeout(Duration::from_secs(60), handle.exited()).await.expect("it has exited");
        }
        assert_eq!(signal_of(child.wait().expect("ours")), Some(Signal::TERM));
    }

    #[tokio::test]
    async fn a_wait_can_be_given_up() {
        let handle = PidHandle::open(Pid::current()).expect("it runs");
        assert!(timeout(Duration::from_millis(1), handle.exited()).await.is_err());
        drop(handle);
        assert!(PidHandle::open(Pid::new(u32::MAX - 3).expect("not 0")).is_err(), "there is no such process");
    }

    #[tokio::test]
    async fn only_the_process_that_listens_is_identified() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let endpoint = Endpoint::Tcp(listener.local_addr().expect("bound").into());
        let mut other =
            Command::new("cmd").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().expect("started");
        let other_pid = Pid::new(other.id()).expect("not 0");
        let of = async |pid| PidHandle::of_listener(pid, &endpoint, Duration::ZERO).await;
        assert!(of(Pid::current()).await.is_some() && of(other_pid).await.is_none());
        other.kill().expect("it runs");
        other.wait().expect("ours");
    }
}
