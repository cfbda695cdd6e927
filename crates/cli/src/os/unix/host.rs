//! The exit of the process that started this one.

use std::time::Duration;

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, getppid},
    stdio::{stderr, stdout},
};
use tokio::time::sleep;

/// The host of this process, which is its parent.
#[derive(Debug)]
pub(crate) struct HostExit {
    /// `None` if the parent is in another pid namespace, as that of the first process of a container.
    parent: Option<Pid>,
}

impl HostExit {
    /// Takes the present parent for the host.
    pub(crate) fn watch() -> Self {
        Self { parent: getppid() }
    }

    /// Resolves when the parent has exited, or when no process has the other ends of stdout and stderr any more. Cancel safe.
    ///
    /// The latter detects the exit of a host that started this process through a shell or from another pid namespace.
    pub(crate) async fn exited(&self) {
        while getppid() == self.parent
            && !(is_broken(PollFd::new(&stdout(), LOOK)) && is_broken(PollFd::new(&stderr(), LOOK)))
        {
            sleep(LOOK_INTERVAL).await;
        }
    }
}

/// Whether the other end of a pipe or socket is closed.
fn is_broken(output: PollFd<'_>) -> bool {
    let mut output = [output];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut output, Some(&now)).is_ok_and(|ready| ready > 0)
        && output[0].revents().intersects(PollFlags::ERR | PollFlags::HUP)
}

/// Linux reports the end whatever is asked for. macOS looks at a descriptor only if something is asked for.
const LOOK: PollFlags = PollFlags::HUP;

const LOOK_INTERVAL: Duration = Duration::from_millis(200);
