//! The runner of ordinary plugins: processes of this host.

#[cfg(target_os = "linux")]
use std::os::fd::OwnedFd;
use std::{
    collections::HashMap,
    ffi::{OsStr, OsString},
    io,
    os::unix::{fs::PermissionsExt as _, process::CommandExt as _},
    path::{Path, PathBuf},
    process::Stdio,
    sync::Once,
    time::{Duration, Instant},
};

use rpcplugin_config::EnvPolicy;
use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, getpgid, kill_process, kill_process_group, waitid,
};
#[cfg(target_os = "linux")]
use tokio::io::unix::AsyncFd;
use tokio::{
    process::Child,
    signal::unix::{SignalKind, signal},
    time::sleep,
};

use crate::{
    command::{Command, Stdin},
    diagnosis,
    error::LaunchFault,
    exit::ExitReason,
    guard::{Guard, LastWill},
    image::Image,
    runner::{LaunchEnvironment, Runner, Running, Started},
};

/// A process of this host, and the group that it was made the leader of. Dropping it kills both.
#[derive(Debug)]
pub struct ChildProcess {
    child: Child,
    leads_group: bool,
    /// Tells of the end of the process before it is reaped. Only for those that lead a group.
    end: Option<End>,
    guard: Option<Guard>,
    /// Whether it ends with this value.
    held: bool,
}

/// Starts a process of this host.
impl Runner for Command {
    type Running = ChildProcess;

    fn program(&self) -> PathBuf {
        self.program.clone()
    }

    async fn start(&self, surroundings: &LaunchEnvironment) -> Result<Started<ChildProcess>, LaunchFault> {
        let fault = |source| LaunchFault::spawn(self, source);
        let image = Image::load(self).await?;
        let policy = self.environment.as_ref().unwrap_or(&surroundings.inherit);
        let environment = environment(std::env::vars_os(), policy, &surroundings.offer, &self.env);
        let mut command = std::process::Command::new(image.path());
        command
            .arg0(&self.program)
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
            command.process_group(0);
        }
        let mut command = tokio::process::Command::from(command);
        keep_ends_of_children();
        let begun = Instant::now();
        let mut child = loop {
            match command.spawn() {
                // A plugin that was installed just now is often held open for writing by a process that was started
                // meanwhile and has not got rid of the descriptor yet.
                Err(error)
                    if error.kind() == io::ErrorKind::ExecutableFileBusy
                        && begun.elapsed() < surroundings.busy_timeout =>
                {
                    sleep(BUSY_PAUSE).await;
                }
                done => break done.map_err(fault)?,
            }
        };
        drop(image);
        let stdout = child.stdout.take().expect("stdout was asked to be a pipe");
        let stderr = child.stderr.take().expect("stderr was asked to be a pipe");
        let stdin = child.stdin.take();
        let mut process =
            ChildProcess { child, leads_group: self.own_group, end: None, guard: None, held: true };
        if self.own_group {
            process.end = process.child.id().and_then(End::of);
            if surroundings.die_with_host {
                let will =
                    LastWill { grace: surroundings.orphan_grace, socket_dir: &surroundings.socket_dir };
                process.die_with_host(will);
            }
        }
        let started = Started::new(process, stdout, stderr);
        Ok(match stdin {
            Some(stdin) => started.stdin(stdin),
            None => started,
        })
    }

    async fn diagnose(&self, fault: &LaunchFault) -> Option<String> {
        if fault.is_about_the_file() { diagnosis::notes(&find(&self.program)) } else { None }
    }
}

impl ChildProcess {
    /// The process and its group end with the host. From the first moment, since a host can be killed while its plugin
    /// starts, and one that never comes to its handshake line would stay for good.
    fn die_with_host(&mut self, will: LastWill<'_>) {
        let Some(leader) = self.child.id() else { return };
        match Guard::over(leader, will) {
            Ok(guard) => self.guard = Some(guard),
            Err(error) => {
                tracing::warn!(plugin.pid = leader, %error, "the plugin will not die with this host");
            }
        }
    }

    /// Sends a signal to the process, and to the whole group that it was made the leader of. Without effect once it has
    /// been reaped: until then both numbers are its own.
    fn signal(&self, signal: Signal) {
        let pid = self.child.id().and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?));
        let Some(pid) = pid else { return };
        let group = self.leads_group.then(|| kill_process_group(pid, signal));
        // It may have gone over to another group. If it has not, a second SIGTERM could mean to it that it is urgent.
        let is_reached = group == Some(Ok(())) && getpgid(Some(pid)) == Ok(pid);
        let sent = if is_reached && signal != Signal::KILL { Ok(()) } else { kill_process(pid, signal) };
        if let Err(error) = sent {
            tracing::debug!(%error, ?signal, "a signal could not be sent");
        }
    }
}

impl Running for ChildProcess {
    fn id(&self) -> String {
        self.pid().map_or_else(String::new, |pid| pid.to_string())
    }

    fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    async fn wait(&mut self) -> ExitReason {
        if let Some(end) = &mut self.end {
            end.come().await;
            // It has not been reaped, so that the number of its group is still its own.
            self.signal(Signal::KILL);
        }
        let status = self.child.wait().await;
        if let Some(guard) = self.guard.take() {
            guard.end_group();
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
        self.held = false;
        if let Some(guard) = self.guard.take() {
            guard.dismiss().await;
        }
    }
}

impl Drop for ChildProcess {
    fn drop(&mut self) {
        // The runtime itself is going away: there is no task any more that could wait. A killed process is gone in
        // a moment, and waiting for it here is what keeps it from staying behind as a zombie.
        if !self.held || self.child.id().is_none() {
            return;
        }
        self.signal(Signal::KILL);
        if let Some(guard) = &mut self.guard {
            guard.kill();
        }
        let patience = Instant::now() + LAST_WAIT;
        let mut remain = || {
            let guard_remains = self.guard.as_mut().is_some_and(Guard::remains);
            matches!(self.child.try_wait(), Ok(None)) || guard_remains
        };
        while remain() && Instant::now() < patience {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// Keeps the ends of children for those who wait for them, where the system has been told to forget them.
///
/// A program inherits from its parent that SIGCHLD is ignored. Nobody would learn how a plugin has ended then, and its
/// number could pass to a stranger while it is still taken for the plugin's.
fn keep_ends_of_children() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        if !ignores_ends_of_children() {
            return;
        }
        // A handler of any kind ends that, and stays for good.
        match signal(SignalKind::child()) {
            Ok(_) => {
                tracing::debug!("SIGCHLD was ignored, and is not any more: plugins have to be waited for")
            }
            Err(error) => {
                tracing::warn!(%error, "SIGCHLD is ignored: nobody will know how plugins have ended")
            }
        }
    });
}

/// Whether this process ignores SIGCHLD. Where there is no `/proc`, tokio itself handles the signal.
fn ignores_ends_of_children() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    ignored.is_some_and(|mask| mask >> (Signal::CHILD.as_raw() - 1) & 1 == 1)
}

/// Notices that a child has ended, and leaves it to be reaped: as long as it is not, its number and that of its group are
/// its own, and what it left in the group can be killed.
#[derive(Debug)]
enum End {
    /// Readable when the process has ended.
    #[cfg(target_os = "linux")]
    Pidfd(AsyncFd<OwnedFd>),
    /// Where there are no pidfds: the signal that tells that one of the children has.
    Child(Pid, tokio::signal::unix::Signal),
}

impl End {
    fn of(child: u32) -> Option<Self> {
        let pid = Pid::from_raw(i32::try_from(child).ok()?)?;
        #[cfg(target_os = "linux")]
        if let Some(pidfd) = Self::pidfd(pid) {
            return Some(Self::Pidfd(pidfd));
        }
        Self::by_signal(pid)
    }

    #[cfg(target_os = "linux")]
    fn pidfd(pid: Pid) -> Option<AsyncFd<OwnedFd>> {
        use rustix::process::{PidfdFlags, pidfd_open};

        let pidfd = pidfd_open(pid, PidfdFlags::NONBLOCK).ok()?;
        rpcplugin_transport::async_fd(pidfd, tokio::io::Interest::READABLE).ok()
    }

    fn by_signal(pid: Pid) -> Option<Self> {
        signal(SignalKind::child()).ok().map(|ends| Self::Child(pid, ends))
    }

    /// Resolves when the process has ended.
    ///
    /// # Cancel safety
    /// May be dropped and called again.
    async fn come(&mut self) {
        match self {
            #[cfg(target_os = "linux")]
            Self::Pidfd(pidfd) => {
                // Only a closed reactor could fail here, and then nothing is waited for any more.
                let _ = pidfd.readable().await;
            }
            Self::Child(pid, ends) => {
                let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
                // An error says that it has been reaped.
                while let Ok(None) = waitid(WaitId::Pid(*pid), look) {
                    if ends.recv().await.is_none() {
                        return;
                    }
                }
            }
        }
    }
}

/// The signal that has stopped a child of this process, if it is stopped.
pub(crate) fn stopped_by(child: u32) -> Option<i32> {
    let pid = Pid::from_raw(i32::try_from(child).ok()?)?;
    let look = WaitIdOptions::STOPPED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    waitid(WaitId::Pid(pid), look).ok().flatten()?.stopping_signal()
}

/// Where the file of a program is: at its path, taken relative to the host's working directory, or for a bare name where
/// `PATH` has it. What is nowhere comes back as it is.
pub(crate) fn find(program: &Path) -> PathBuf {
    let bare = program.components().count() == 1 && !program.as_os_str().as_encoded_bytes().contains(&b'/');
    if !bare {
        return std::path::absolute(program).unwrap_or_else(|_| program.to_owned());
    }
    let path = std::env::vars_os().find_map(|(name, value)| (name == OsStr::new("PATH")).then_some(value));
    std::env::split_paths(&path.unwrap_or_default())
        .map(|dir| dir.join(program))
        .find(|file| {
            file.metadata().is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
        })
        .unwrap_or_else(|| program.to_owned())
}

/// The plugin's environment: what is inherited, then the offer, then what the command says.
fn environment(
    inherited: impl Iterator<Item = (OsString, OsString)>,
    policy: &EnvPolicy,
    offer: &[(String, Option<OsString>)],
    own: &std::collections::BTreeMap<OsString, Option<OsString>>,
) -> HashMap<OsString, OsString> {
    let mut environment: HashMap<_, _> = inherited.filter(|(name, _)| passes(policy, name)).collect();
    let offered = offer.iter().map(|(name, value)| (OsString::from(name), value.clone()));
    let own = own.iter().map(|(name, value)| (name.clone(), value.clone()));
    for (name, value) in offered.chain(own) {
        match value {
            Some(value) => environment.insert(name, value),
            None => environment.remove(&name),
        };
    }
    environment
}

/// Whether a plugin inherits this variable of the host.
fn passes(policy: &EnvPolicy, name: &OsStr) -> bool {
    match policy {
        EnvPolicy::Clear => false,
        EnvPolicy::Only(names) => names.iter().any(|passed| OsStr::new(passed) == name),
        // What the offer does not set is removed by it, so only secrets need care here.
        _ => PRIVATE_KEY.iter().all(|secret| OsStr::new(secret) != name),
    }
}

/// A host that is configured through its environment has its private key, or the path to it, here, where no plugin
/// should find it.
const PRIVATE_KEY: [&str; 2] = ["PLUGIN_CLIENT_KEY", "PLUGIN_CLIENT_KEY_FILE"];

const BUSY_PAUSE: Duration = Duration::from_millis(20);

/// How long a runtime that goes away is held up by a process that was killed and is not gone.
const LAST_WAIT: Duration = Duration::from_millis(200);

#[cfg(test)]
mod tests {
    use rpcplugin_core::TcpPorts;
    use rpcplugin_core::{MagicCookie, Versions};
    use rpcplugin_handshake::HostEnv;

    use super::*;

    fn given(policy: &EnvPolicy, command: &Command) -> HashMap<OsString, OsString> {
        let offer = HostEnv {
            versions: Versions::from(3),
            ports: TcpPorts::GO_DEFAULT,
            client_certificate: None,
            multiplex: false,
            socket_dir: None,
            socket_group: None,
        };
        let cookie = MagicCookie::new("COOKIE", "value").expect("valid");
        let inherited = [
            ("PATH", "/bin"),
            ("HOME", "/home"),
            ("PLUGIN_CLIENT_CERT", "made for another"),
            ("PLUGIN_MULTIPLEX_GRPC", "true"),
            ("PLUGIN_CLIENT_KEY", "secret"),
            ("PLUGIN_CLIENT_KEY_FILE", "/secret"),
            ("PLUGIN_LOG_LEVEL", "debug"),
        ];
        let inherited = inherited.into_iter().map(|(name, value)| (name.into(), value.into()));
        environment(inherited, policy, &offer.to_env(&cookie), &command.env)
    }

    fn value<'e>(environment: &'e HashMap<OsString, OsString>, name: &str) -> Option<&'e str> {
        environment.get(OsStr::new(name)).and_then(|value| value.to_str())
    }

    #[test]
    fn an_offer_made_to_the_host_never_reaches_its_plugin() {
        let environment = given(&EnvPolicy::Inherit, &Command::new("p"));
        assert_eq!(value(&environment, "PATH"), Some("/bin"));
        assert_eq!(value(&environment, "COOKIE"), Some("value"));
        assert_eq!(value(&environment, "PLUGIN_PROTOCOL_VERSIONS"), Some("3"));
        assert_eq!(
            value(&environment, "PLUGIN_LOG_LEVEL"),
            Some("debug"),
            "settings are not the handshake's"
        );
        let removed =
            ["PLUGIN_CLIENT_CERT", "PLUGIN_MULTIPLEX_GRPC", "PLUGIN_CLIENT_KEY", "PLUGIN_CLIENT_KEY_FILE"];
        for name in removed {
            assert_eq!(value(&environment, name), None, "{name}");
        }
    }

    #[test]
    fn the_commands_own_variables_win() {
        let command = Command::new("p").env("PATH", "/opt").env("PLUGIN_MIN_PORT", "1").env_remove("HOME");
        let environment = given(&EnvPolicy::Inherit, &command);
        assert_eq!(value(&environment, "PATH"), Some("/opt"));
        assert_eq!(value(&environment, "PLUGIN_MIN_PORT"), Some("1"));
        assert_eq!(value(&environment, "HOME"), None);
    }

    #[test]
    fn a_policy_keeps_the_rest_out() {
        let environment = given(&EnvPolicy::Only(vec!["HOME".into()]), &Command::new("p"));
        assert_eq!((value(&environment, "HOME"), value(&environment, "PATH")), (Some("/home"), None));
        let environment = given(&EnvPolicy::Clear, &Command::new("p").env("A", "b"));
        assert_eq!((value(&environment, "HOME"), value(&environment, "A")), (None, Some("b")));
        assert_eq!(value(&environment, "COOKIE"), Some("value"));
    }

    #[tokio::test]
    async fn an_end_is_noticed_and_left_to_be_reaped() {
        for by_signal in [false, true] {
            let mut child = tokio::process::Command::new("/bin/cat")
                .stdin(Stdio::piped())
                .stdout(Stdio::null())
                .spawn()
                .expect("it is there");
            let pid = child.id().expect("it runs");
            let number = Pid::from_raw(i32::try_from(pid).expect("a number")).expect("a number");
            let end = if by_signal { End::by_signal(number) } else { End::of(pid) };
            let mut end = end.expect("it can be told");
            let early = tokio::time::timeout(Duration::from_millis(20), end.come()).await;
            assert!(early.is_err(), "it runs");
            kill_process(number, Signal::STOP).expect("it is ours");
            while stopped_by(pid).is_none() {
                tokio::task::yield_now().await;
            }
            assert_eq!(stopped_by(pid), Some(Signal::STOP.as_raw()), "asking changes nothing");
            kill_process(number, Signal::CONT).expect("it is ours");
            drop(child.stdin.take());
            end.come().await;
            end.come().await;
            assert_eq!(stopped_by(pid), None);
            assert!(child.id().is_some() && kill_process(number, Signal::CONT).is_ok(), "it is not reaped");
            assert!(child.wait().await.expect("it is ours").success());
        }
    }

    #[test]
    fn finds_programs_as_a_shell_does() {
        assert!(find(Path::new("sh")).is_absolute());
        assert_eq!(find(Path::new("/bin/sh")), Path::new("/bin/sh"));
        assert!(find(Path::new("./sh")).is_absolute(), "a path is never looked up");
        assert_eq!(find(Path::new("no-such-program-at-all")), Path::new("no-such-program-at-all"));
    }
}
