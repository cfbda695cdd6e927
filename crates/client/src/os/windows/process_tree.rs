//! A child process, with all that it started.

use std::{
    io,
    os::windows::io::OwnedHandle,
    path::Path,
    process::ExitStatus,
    time::{Duration, Instant},
};

use rpcplugin_core::Pid;
use tokio::{
    net::windows::named_pipe::NamedPipeServer,
    process::{Child, ChildStdin},
};

use super::{
    console::send_break, exit_status::KILLED, handles, job::Job, output::overlapped, threads::resume,
};
use crate::os::signal::Signal;

/// A child process of this host, and the job that it is in with all that it started. Dropping it kills all of them.
#[derive(Debug)]
pub(crate) struct ProcessTree {
    child: Child,
    /// Keeps the pid from being given to another process.
    process: OwnedHandle,
    /// Only for a process that leads a group.
    job: Option<Job>,
    /// Whether dropping this value kills the process.
    kill_on_drop: bool,
}

/// Ends a plugin when the host dies. The system kills the job when its last handle is closed, which the end of the host
/// does: at once, without a grace period. The directory of the sockets is removed in the same way.
#[derive(Debug, Clone, Copy)]
#[expect(
    dead_code,
    reason = "the system ends a job without a grace period, and removes the directory by itself"
)]
pub(crate) struct LastWill<'w> {
    /// Not waited for.
    pub(crate) grace: Duration,
    /// Removed when the host closes its handle of it.
    pub(crate) socket_dir: &'w Path,
}

impl ProcessTree {
    /// Takes over a child that has just been spawned. A process that leads a group is put into a job and resumed. All that
    /// it starts is in the job too. With a last will, the job ends when this host dies, in any way.
    ///
    /// Fails if the system refuses the job. The child has been ended then. A host that is killed between the start and
    /// this call leaves a suspended process.
    pub(crate) fn over(mut child: Child, leads_group: bool, will: Option<LastWill<'_>>) -> io::Result<Self> {
        let process = match handles::of_child(&child) {
            Ok(process) => process,
            Err(error) => {
                let _ = child.start_kill();
                return Err(error);
            }
        };
        // From here on, a drop kills the process.
        let mut tree = Self { child, process, job: None, kill_on_drop: true };
        if leads_group {
            let pid = tree.pid().ok_or(io::ErrorKind::NotFound)?;
            let job = Job::new(will.is_some())?;
            job.add(&tree.process)?;
            tree.job = Some(job);
            resume(pid)?;
        }
        Ok(tree)
    }

    /// Takes the child's stderr, which has to be a pipe, and its stdout and stdin if they are pipes.
    pub(crate) fn take_pipes(
        &mut self,
    ) -> io::Result<(Option<NamedPipeServer>, NamedPipeServer, Option<ChildStdin>)> {
        let stdout = self.child.stdout.take().map(|stdout| overlapped(stdout.into_owned_handle()?));
        let stderr = self.child.stderr.take().expect("stderr was asked to be a pipe").into_owned_handle()?;
        Ok((stdout.transpose()?, overlapped(stderr)?, self.child.stdin.take()))
    }

    /// The pid of the child. `None` once it has been waited for.
    pub(crate) fn pid(&self) -> Option<Pid> {
        self.child.id().and_then(Pid::new)
    }

    /// SIGKILL ends the process and all that it started. SIGTERM sends Ctrl-Break to a process that leads a group of this
    /// host's console: to the process, and to what it started in its group. Other processes cannot be asked to end.
    pub(crate) fn signal(&self, signal: Signal) {
        let Some(pid) = self.pid() else { return };
        let sent = match signal {
            Signal::KILL => self.kill(),
            Signal::TERM if self.job.is_some() => send_break(pid),
            _ => Err(io::ErrorKind::Unsupported.into()),
        };
        if let Err(error) = sent {
            tracing::debug!(%error, %signal, "a signal could not be sent");
        }
    }

    fn kill(&self) -> io::Result<()> {
        match &self.job {
            Some(job) => job.terminate(KILLED),
            None => handles::terminate(&self.process, KILLED),
        }
    }

    /// Waits until the process has exited, and ends what it left in its job.
    ///
    /// # Cancel safety
    /// May be dropped and called again.
    pub(crate) async fn wait(&mut self) -> io::Result<ExitStatus> {
        let status = self.child.wait().await;
        if let Some(job) = self.job.take()
            && let Err(error) = job.terminate(KILLED)
        {
            tracing::debug!(%error, "what the plugin left could not be ended");
        }
        status
    }

    /// Lets the process run on without this host. If the host is itself in a job that ends with it, the process does too.
    pub(crate) async fn leave(mut self) {
        self.kill_on_drop = false;
        if let Some(job) = &self.job
            && let Err(error) = job.die_with_host(false)
        {
            tracing::warn!(%error, "the plugin ends with this host");
        }
    }
}

impl Drop for ProcessTree {
    fn drop(&mut self) {
        if !self.kill_on_drop || self.child.id().is_none() {
            return;
        }
        self.signal(Signal::KILL);
        // A killed process is gone within a moment. Until then its files cannot be removed.
        let deadline = Instant::now() + LAST_WAIT;
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// The longest wait for the exit in the drop of a process.
const LAST_WAIT: Duration = Duration::from_millis(200);

#[cfg(test)]
mod tests {
    use std::process::Stdio;

    use tokio::{
        io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader},
        process::Command,
        time::timeout,
    };

    use super::*;
    use crate::os::{lead_group, signal_of, spawn};

    /// The test program as the child: it starts itself once more, prints the pid of that process, and waits.
    const ROLE: &str = "RPCPLUGIN_PROCESS_TREE_ROLE";

    fn role() -> Option<String> {
        std::env::vars().find_map(|(name, value)| (name == ROLE).then_some(value))
    }

    fn itself(role: &str) -> std::process::Command {
        let mut command = std::process::Command::new(std::env::current_exe().expect("it runs"));
        command
            .args(["--exact", "--nocapture", "os::windows::process_tree::tests::a_role_is_played"])
            .env(ROLE, role)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    #[test]
    fn a_role_is_played() {
        match role().as_deref() {
            Some("parent") => {
                let child = itself("child").stdout(Stdio::inherit()).spawn().expect("started");
                println!("\nstarted {}", child.id());
                std::thread::sleep(Duration::from_secs(120));
            }
            // Holds the pipe of its parent open.
            Some("child") => std::thread::sleep(Duration::from_secs(120)),
            Some("leaves") => {
                let child = itself("child").stdout(Stdio::inherit()).spawn().expect("started");
                println!("\nstarted {}", child.id());
            }
            _ => {}
        }
    }

    fn start(role: &str, own_group: bool, die_with_host: bool) -> (ProcessTree, BufReader<NamedPipeServer>) {
        let mut command = itself(role);
        if own_group {
            lead_group(&mut command);
        }
        let child = spawn(&mut Command::from(command)).expect("started");
        let will = die_with_host.then_some(LastWill { grace: Duration::ZERO, socket_dir: Path::new("") });
        let mut tree = ProcessTree::over(child, own_group, will).expect("taken over");
        let (stdout, _, _) = tree.take_pipes().expect("pipes");
        (tree, BufReader::new(stdout.expect("a pipe")))
    }

    async fn started(stdout: &mut BufReader<NamedPipeServer>) -> Pid {
        let mut lines = stdout.lines();
        while let Some(line) = timeout(LONG, lines.next_line()).await.expect("in time").expect("readable") {
            if let Some(pid) = line.strip_prefix("started ") {
                return Pid::new(pid.trim().parse().expect("a number")).expect("not 0");
            }
        }
        panic!("the process printed no pid");
    }

    /// Resolves when no process has the pipe open any more.
    async fn closed(mut stdout: BufReader<NamedPipeServer>) {
        let mut rest = Vec::new();
        timeout(LONG, stdout.read_to_end(&mut rest)).await.expect("the pipe is closed").expect("readable");
    }

    const LONG: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn a_kill_ends_the_process_and_all_that_it_started() {
        for die_with_host in [false, true] {
            let (mut tree, mut stdout) = start("parent", true, die_with_host);
            started(&mut stdout).await;
            tree.signal(Signal::KILL);
            let status = timeout(LONG, tree.wait()).await.expect("in time").expect("waited for");
            assert_eq!(signal_of(status), Some(Signal::KILL));
            assert_eq!(tree.pid(), None);
            closed(stdout).await;
        }
    }

    #[tokio::test]
    async fn what_a_process_leaves_behind_ends_with_it() {
        let (mut tree, mut stdout) = start("leaves", true, false);
        started(&mut stdout).await;
        let status = timeout(LONG, tree.wait()).await.expect("in time").expect("waited for");
        assert!(status.success());
        closed(stdout).await;
    }

    #[tokio::test]
    async fn a_drop_ends_all() {
        for die_with_host in [false, true] {
            let (tree, mut stdout) = start("parent", true, die_with_host);
            started(&mut stdout).await;
            drop(tree);
            closed(stdout).await;
        }
    }

    #[tokio::test]
    async fn a_process_in_the_group_of_the_host_is_killed_alone() {
        let (mut tree, mut stdout) = start("parent", false, true);
        let child = handles::open(started(&mut stdout).await).expect("it runs");
        tree.signal(Signal::TERM);
        tree.signal(Signal::KILL);
        let status = timeout(LONG, tree.wait()).await.expect("in time").expect("waited for");
        assert_eq!(signal_of(status), Some(Signal::KILL));
        handles::terminate(&child, 0).expect("it runs on");
        closed(stdout).await;
    }

    #[tokio::test]
    async fn a_process_that_is_left_runs_on() {
        let (tree, mut stdout) = start("parent", true, true);
        let (parent, child) = (tree.pid().expect("it runs"), started(&mut stdout).await);
        tree.leave().await;
        for pid in [parent, child] {
            handles::terminate(&handles::open(pid).expect("it runs"), 0).expect("it runs on");
        }
        closed(stdout).await;
    }

    #[test]
    fn a_process_that_is_left_does_not_keep_the_runtime() {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let pids = runtime.block_on(async {
            let (tree, mut stdout) = start("parent", true, false);
            let pids = [tree.pid().expect("it runs"), started(&mut stdout).await];
            tree.leave().await;
            tokio::spawn(closed(stdout));
            tokio::task::yield_now().await;
            pids
        });
        drop(runtime);
        for pid in pids {
            handles::terminate(&handles::open(pid).expect("it runs"), 0).expect("it runs on");
        }
    }
}
