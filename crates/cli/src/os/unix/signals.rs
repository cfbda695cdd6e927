//! Signals that are passed on to another process.

use std::{future::poll_fn, io, task::Poll};

use rpcplugin::host::{Pid, Signal};
use rustix::process::{self, Resource, Rlimit, getrlimit, kill_process, setrlimit};
use tokio::signal::unix::{self, SignalKind, signal};

/// The signals to this process that are passed on. They do not act on this process once this value exists.
#[derive(Debug)]
pub(crate) struct PassedSignals(Vec<(SignalKind, unix::Signal)>);

impl PassedSignals {
    /// Catches SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1 and SIGUSR2. A signal that this process was started to ignore, as `nohup`
    /// does with SIGHUP, stays ignored, and processes that this one starts ignore it too.
    pub(crate) fn catch() -> io::Result<Self> {
        let all = [
            SignalKind::hangup(),
            SignalKind::interrupt(),
            SignalKind::quit(),
            SignalKind::terminate(),
            SignalKind::user_defined1(),
            SignalKind::user_defined2(),
        ];
        let ignored = ignored();
        let caught = all.into_iter().filter(|kind| ignored >> (kind.as_raw_value() - 1) & 1 == 0);
        caught.map(|kind| Ok((kind, signal(kind)?))).collect::<io::Result<_>>().map(Self)
    }

    /// Resolves with the next signal. A signal that arrived between two calls is not lost. Cancel safe.
    pub(crate) async fn next(&mut self) -> Signal {
        poll_fn(|context| {
            for (kind, signal) in &mut self.0 {
                if signal.poll_recv(context).is_ready() {
                    return Poll::Ready(Signal::new(kind.as_raw_value()));
                }
            }
            Poll::Pending
        })
        .await
    }
}

/// Returns the signals that this process ignores, as a mask. Zero where there is no `/proc`.
fn ignored() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default()
}

/// Sends a signal to a child that has not been reaped.
pub(crate) fn send_signal(pid: Pid, signal: Signal) {
    let pid = i32::try_from(pid.get()).ok().and_then(process::Pid::from_raw);
    if let (Some(pid), Some(signal)) = (pid, process::Signal::from_named_raw(signal.number())) {
        // The child may have exited.
        let _ = kill_process(pid, signal);
    }
}

/// Ends this process by a signal, without a core dump. Returns if that is impossible: the first process of a container does not die of
/// its own signals, and some signals have no name.
pub(crate) fn end_by(signal: Signal) {
    if std::process::id() == 1 {
        return;
    }
    let none = Rlimit { current: Some(0), maximum: getrlimit(Resource::Core).maximum };
    let _ = setrlimit(Resource::Core, none);
    let _ = signal_hook::low_level::emulate_default_handler(signal.number());
}
