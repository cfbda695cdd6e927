//! The runner of ordinary plugins: child processes of this host.

use std::{
    borrow::Cow,
    io,
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use rpcplugin_core::Pid;
use rpcplugin_handshake::{LaneOffer, variable};
use rpcplugin_transport::{InheritedOffer, LANE_VERSION};
use tokio::{io::AsyncRead, process::Child, time::sleep};

use super::{
    confined::Confined,
    environment::environment,
    runner::{LaunchEnvironment, PluginProcess, Runner, StartedProcess},
};
use crate::{
    command::{Command, Stdin},
    error::{LaunchFault, ProgramFault},
    exit::ExitReason,
    os::{self, LastWill, ProcessTree, Signal},
    program::{lookup::find, notes::notes, verified_executable::Executable},
    requirements::Requirements,
};

/// A child process of this host, and what it started: on Unix the group that it leads, on Windows the job that it is
/// in. Dropping it kills all of them.
#[derive(Debug)]
pub struct ChildProcess {
    tree: ProcessTree,
    #[cfg(feature = "sandbox")]
    sandbox: Option<rpcplugin_sandbox::Sandbox>,
    /// Ends after the tree, with all processes that have left the group of the tree.
    #[cfg(feature = "sandbox")]
    control_group: Option<rpcplugin_sandbox::ControlGroup>,
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
        #[cfg_attr(not(feature = "sandbox"), expect(unused_mut, reason = "it has no control group"))]
        let mut confined = Confined::prepare(self, executable.path(), environment)?;
        let offer = offer(environment);
        let environment = with_lane(environment);
        let environment: &LaunchEnvironment = &environment;
        let (command, offered) = match offer {
            None => (self.prepared(executable.path(), environment), None),
            Some(InheritedOffer { token, stdout, printed, connection }) => {
                let environment = environment.clone().set(variable::STDOUT_CONNECTION, token);
                let mut command = self.prepared(executable.path(), &environment);
                command.stdout(stdout);
                (command, Some((printed, connection)))
            }
        };
        os::collect_exit_statuses();
        let child = spawn(command, &confined, environment.busy_timeout)
            .await?
            .map_err(|source| self.fault(source))?;
        drop(executable);
        let will = environment
            .die_with_host
            .then_some(LastWill { grace: environment.orphan_grace, socket_dir: &environment.socket_dir });
        let not_started = |source| ProgramFault::Spawn { program: self.program.clone(), source };
        let mut tree = ProcessTree::over(child, self.own_group, will).map_err(not_started)?;
        let (stdout, stderr, stdin) = tree.take_pipes().map_err(not_started)?;
        let (stdout, offered): (Box<dyn AsyncRead + Send + Unpin>, _) = match (offered, stdout) {
            (Some((printed, connection)), _) => (Box::new(printed), Some(connection)),
            (None, Some(stdout)) => (Box::new(stdout), None),
            (None, None) => return Err(not_started(io::ErrorKind::BrokenPipe.into()).into()),
        };
        let process = ChildProcess {
            tree,
            #[cfg(feature = "sandbox")]
            sandbox: self.sandbox.clone(),
            #[cfg(feature = "sandbox")]
            control_group: confined.take_control_group(),
        };
        let mut started = StartedProcess::new(process, stdout, stderr);
        started.offered = offered;
        #[cfg(feature = "sandbox")]
        let started = started.confinement(confined.confinement().cloned());
        Ok(match stdin {
            Some(stdin) => started.stdin(stdin),
            None => started,
        })
    }

    fn requirements(&self) -> Option<&Requirements> {
        Some(&self.requirements)
    }

    #[cfg(feature = "sandbox")]
    fn sandbox(&self) -> Option<&rpcplugin_sandbox::Sandbox> {
        self.sandbox.as_ref()
    }

    async fn diagnose(&self, fault: &LaunchFault) -> Option<String> {
        if fault.is_about_the_file() { notes(&find(&self.program)) } else { None }
    }
}

impl Command {
    /// The command as the standard library starts it.
    fn prepared(&self, executable: &Path, launch: &LaunchEnvironment) -> std::process::Command {
        let policy = self.environment.as_ref().unwrap_or(&launch.inherit);
        #[cfg(feature = "sandbox")]
        let policy = &self.confined_policy().unwrap_or_else(|| policy.clone());
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
        #[cfg(feature = "sandbox")]
        if self.sandbox.is_some() {
            if self.stdin == Stdin::Inherit {
                // The host's terminal, most often.
                command.stdin(Stdio::null());
            }
            if !self.env.keys().any(|name| name == TEMPORARY_DIR) {
                command.env(TEMPORARY_DIR, rpcplugin_sandbox::Prepared::temporary_dir(&launch.socket_dir));
            }
        }
        if let Some(dir) = &self.dir {
            command.current_dir(dir);
        }
        if self.own_group {
            os::lead_group(&mut command);
        }
        command
    }

    /// The variables that a confined plugin inherits. `None` without a sandbox.
    #[cfg(feature = "sandbox")]
    fn confined_policy(&self) -> Option<rpcplugin_config::EnvPolicy> {
        let names = self.sandbox.as_ref()?.environment_names().map(str::to_owned).collect();
        Some(rpcplugin_config::EnvPolicy::Only(names))
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
            _ if os::is_busy(&source) => ProgramFault::TextFileBusy { program },
            _ if os::is_unknown_format(&source) => ProgramFault::NotAProgram { program },
            _ => ProgramFault::Spawn { program, source },
        }
    }
}

/// Adds the offer of the lane, if the host makes one.
fn with_lane(environment: &LaunchEnvironment) -> Cow<'_, LaunchEnvironment> {
    if !environment.lane {
        return Cow::Borrowed(environment);
    }
    let offer = LaneOffer { version: LANE_VERSION, host: std::process::id() };
    Cow::Owned(environment.clone().set(variable::HOST_LANE, offer.to_string()))
}

/// An offer of a connection that the plugin inherits, if the host makes one and the system has the means.
fn offer(environment: &LaunchEnvironment) -> Option<InheritedOffer> {
    if !environment.inherit_connection {
        return None;
    }
    match InheritedOffer::new() {
        Ok(offer) => Some(offer),
        Err(error) => {
            tracing::debug!(%error, "no connection for the plugin to inherit; it listens as usual");
            None
        }
    }
}

/// Spawns the process. Tries again for `busy_timeout` while the program's file is open for writing: a plugin that has
/// just been installed is often held open by a process that was forked meanwhile and has not closed the descriptor
/// yet.
async fn spawn(
    command: std::process::Command,
    confined: &Confined,
    busy_timeout: Duration,
) -> Result<io::Result<Child>, LaunchFault> {
    let mut command = tokio::process::Command::from(command);
    let begun = Instant::now();
    loop {
        match confined.spawn(&mut command)? {
            Err(error) if os::is_busy(&error) && begun.elapsed() < busy_timeout => {
                sleep(BUSY_PAUSE).await;
            }
            done => return Ok(done),
        }
    }
}

impl PluginProcess for ChildProcess {
    fn id(&self) -> String {
        self.pid().map_or_else(String::new, |pid| pid.to_string())
    }

    fn pid(&self) -> Option<Pid> {
        self.tree.pid()
    }

    async fn wait(&mut self) -> ExitReason {
        let reason = self.tree.wait().await.map_or(ExitReason::Unknown, ExitReason::from);
        #[cfg(feature = "sandbox")]
        let ran_out = self.control_group.take().is_some_and(|group| group.ran_out_of_memory());
        #[cfg(feature = "sandbox")]
        let reason = reason.at_limits_of(self.sandbox.as_ref(), ran_out);
        reason
    }

    async fn terminate(&mut self) {
        self.tree.signal(Signal::TERM);
    }

    async fn kill(&mut self) {
        self.tree.signal(Signal::KILL);
    }

    async fn leave(self) {
        #[cfg(feature = "sandbox")]
        if let Some(group) = self.control_group {
            group.leave();
        }
        self.tree.leave().await;
    }
}

/// Whether the file exists. A bare name that is not in `PATH` comes back from `find` unchanged, and is not a file of the
/// working directory.
fn is_found(file: &Path) -> bool {
    file.is_absolute() && file.exists()
}

/// The variable that names the directory for temporary files.
#[cfg(feature = "sandbox")]
const TEMPORARY_DIR: &str = "TMPDIR";

const BUSY_PAUSE: Duration = Duration::from_millis(20);
