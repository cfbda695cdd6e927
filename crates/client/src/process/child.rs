//! The runner of ordinary plugins: child processes of this host.

use std::{
    io,
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use rpcplugin_core::Pid;
use tokio::{process::Child, time::sleep};

use super::{
    environment::environment,
    runner::{LaunchEnvironment, PluginProcess, Runner, StartedProcess},
    watchdog::{LastWill, Watchdog},
};
use crate::{
    command::{Command, Stdin},
    error::{LaunchFault, ProgramFault},
    exit::ExitReason,
    os::{self, ExitWatch, Signal},
    program::{lookup::find, notes::notes, verified_executable::Executable},
};

/// A child process of this host, and the group that it leads. Dropping it kills both.
#[derive(Debug)]
pub struct ChildProcess {
    child: Child,
    leads_group: bool,
    /// Reports the exit before the process is reaped. Only for a process that leads a group.
    exit: Option<ExitWatch>,
    watchdog: Option<Watchdog>,
    /// Whether dropping this value kills the process.
    kill_on_drop: bool,
}

/// Starts a child process of this host.
impl Runner for Command {
    type Process = ChildProcess;

    fn program(&self) -> PathBuf {
        self.program.clone()
    }

    async fn start(
        &self,
        environment: &LaunchEnvironment,
    ) -> Result<StartedProcess<ChildProcess>, LaunchFault> {
        let executable = Executable::find(&self.program, self.checksum.clone()).await?;
        let command = self.prepared(executable.path(), environment);
        os::collect_exit_statuses();
        let mut child =
            spawn(command, environment.busy_timeout).await.map_err(|source| self.fault(source))?;
        drop(executable);
        let stdout = child.stdout.take().expect("stdout was asked to be a pipe");
        let stderr = child.stderr.take().expect("stderr was asked to be a pipe");
        let stdin = child.stdin.take();
        let mut process = ChildProcess {
            child,
            leads_group: self.own_group,
            exit: None,
            watchdog: None,
            kill_on_drop: true,
        };
        if self.own_group {
            process.exit = process.pid().and_then(ExitWatch::of);
            if environment.die_with_host {
                process.die_with_host(LastWill {
                    grace: environment.orphan_grace,
                    socket_dir: &environment.socket_dir,
                });
            }
        }
        let started = StartedProcess::new(process, stdout, stderr);
        Ok(match stdin {
            Some(stdin) => started.stdin(stdin),
            None => started,
        })
    }

    async fn diagnose(&self, fault: &LaunchFault) -> Option<String> {
        if fault.is_about_the_file() { notes(&find(&self.program)) } else { None }
    }
}

impl Command {
    /// The command as the standard library starts it.
    fn prepared(&self, executable: &Path, launch: &LaunchEnvironment) -> std::process::Command {
        let policy = self.environment.as_ref().unwrap_or(&launch.inherit);
        let environment = environment(std::env::vars_os(), policy, &launch.handshake_env, &self.env);
        let mut command = std::process::Command::new(executable);
        os::argument_zero(&mut command, &self.program);
        command
            .args(&self.args)
            .env_clear()
            .envs(environment)
            .stdin(match self.stdin {
                Stdin::Inherit => Stdio::inherit(),
                Stdin::Null => Stdio::null(),
                Stdin::Piped => Stdio::piped(),
            })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if let Some(dir) = &self.dir {
            command.current_dir(dir);
        }
        if self.own_group {
            os::lead_group(&mut command);
        }
        command
    }

    /// The fault of a process that could not be started.
    fn fault(&self, source: io::Error) -> ProgramFault {
        let program = self.program.clone();
        if let Some(dir) = self.dir.as_ref().filter(|dir| !dir.is_dir()) {
            return ProgramFault::NoDirectory { dir: dir.clone() };
        }
        match source.kind() {
            io::ErrorKind::NotFound if is_found(&find(&program)) => {
                ProgramFault::InterpreterNotFound { program }
            }
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => ProgramFault::NotFound { program },
            io::ErrorKind::PermissionDenied if program.is_dir() => ProgramFault::IsDirectory { program },
            io::ErrorKind::PermissionDenied if program.exists() && !program.is_file() => {
                ProgramFault::NotAFile { program }
            }
            io::ErrorKind::PermissionDenied => ProgramFault::NotExecutable { program },
            io::ErrorKind::ExecutableFileBusy => ProgramFault::TextFileBusy { program },
            _ if os::is_unknown_format(&source) => ProgramFault::NotAProgram { program },
            _ => ProgramFault::Spawn { program, source },
        }
    }
}

/// Spawns the process. Tries again for `busy_timeout` while the program's file is open for writing: a plugin that has
/// just been installed is often held open by a process that was forked meanwhile and has not closed the descriptor
/// yet.
async fn spawn(command: std::process::Command, busy_timeout: Duration) -> io::Result<Child> {
    let mut command = tokio::process::Command::from(command);
    let begun = Instant::now();
    loop {
        match command.spawn() {
            Err(error)
                if error.kind() == io::ErrorKind::ExecutableFileBusy && begun.elapsed() < busy_timeout =>
            {
                sleep(BUSY_PAUSE).await;
            }
            done => return done,
        }
    }
}

impl ChildProcess {
    /// Starts a watchdog, which ends the process and its group when the host dies. It is started together with the
    /// process: a host can be killed while its plugin starts, and a plugin that never prints its handshake line would
    /// run indefinitely.
    fn die_with_host(&mut self, will: LastWill<'_>) {
        let Some(leader) = self.pid() else { return };
        match Watchdog::over(leader, will) {
            Ok(watchdog) => self.watchdog = Some(watchdog),
            Err(error) => {
                tracing::warn!(plugin.pid = leader.get(), %error, "the plugin will not die with this host");
            }
        }
    }

    /// Sends a signal to the process, and to the whole group that it leads. Without effect once the process has been
    /// reaped: until then the pid and the group belong to it.
    fn signal(&self, signal: Signal) {
        let Some(pid) = self.pid() else { return };
        if let Err(error) = os::signal_process(pid, self.leads_group, signal) {
            tracing::debug!(%error, %signal, "a signal could not be sent");
        }
    }
}

impl PluginProcess for ChildProcess {
    fn id(&self) -> String {
        self.pid().map_or_else(String::new, |pid| pid.to_string())
    }

    fn pid(&self) -> Option<Pid> {
        self.child.id().and_then(Pid::new)
    }

    async fn wait(&mut self) -> ExitReason {
        if let Some(exit) = &mut self.exit {
            exit.exited().await;
            // The process has not been reaped, so that the number of its group is still its own.
            self.signal(Signal::KILL);
        }
        let status = self.child.wait().await;
        if let Some(watchdog) = self.watchdog.take() {
            watchdog.end_group();
        }
        status.map_or(ExitReason::Unknown, ExitReason::from)
    }

    async fn terminate(&mut self) {
        self.signal(Signal::TERM);
    }

    async fn kill(&mut self) {
        self.signal(Signal::KILL);
    }

    async fn leave(mut self) {
        self.kill_on_drop = false;
        if let Some(watchdog) = self.watchdog.take() {
            watchdog.dismiss().await;
        }
    }
}

impl Drop for ChildProcess {
    fn drop(&mut self) {
        // The runtime is shutting down: no task is left that could wait. A killed process is gone within a moment, and
        // waiting for it here keeps it from staying behind as a zombie.
        if !self.kill_on_drop || self.child.id().is_none() {
            return;
        }
        self.signal(Signal::KILL);
        if let Some(watchdog) = &mut self.watchdog {
            watchdog.kill();
        }
        let deadline = Instant::now() + LAST_WAIT;
        let mut remain = || {
            let watchdog_remains = self.watchdog.as_mut().is_some_and(Watchdog::remains);
            matches!(self.child.try_wait(), Ok(None)) || watchdog_remains
        };
        while remain() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// Whether the file exists. A bare name that is not in `PATH` comes back from `find` unchanged, and is not a file of the
/// working directory.
fn is_found(file: &Path) -> bool {
    file.is_absolute() && file.exists()
}

const BUSY_PAUSE: Duration = Duration::from_millis(20);

/// The longest wait for the exit in the drop of a process.
const LAST_WAIT: Duration = Duration::from_millis(200);
