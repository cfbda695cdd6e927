//! The process of a plugin: started, watched, and never left behind.

use std::{
    collections::HashMap,
    ffi::{OsStr, OsString},
    io,
    process::Stdio,
    sync::Arc,
    time::{Duration, Instant},
};

use rpcplugin_config::{EnvPolicy, HostConfig};
use rpcplugin_core::MagicCookie;
use rpcplugin_handshake::{Offer, variable};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::{
    process::{Child, ChildStderr, ChildStdout},
    sync::{mpsc, watch},
    time::sleep,
};

use crate::{
    command::{Command, Stdin},
    events::Event,
    exit::ExitReason,
    feed::Feed,
};

/// A running process and the reading ends of its pipes.
pub(crate) struct Started {
    pub(crate) process: Process,
    pub(crate) stdout: ChildStdout,
    pub(crate) stderr: ChildStderr,
}

/// The handle of a process that is this one's child. Dropping it kills the process.
#[derive(Debug)]
pub(crate) struct Process {
    pid: u32,
    orders: mpsc::UnboundedSender<Order>,
    ended: watch::Receiver<Option<ExitReason>>,
}

/// The end of a process. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct ProcessEnd(watch::Receiver<Option<ExitReason>>);

#[derive(Debug, Clone, Copy)]
enum Order {
    Terminate,
    Kill,
}

impl Process {
    /// Starts the command with the offer in its environment.
    ///
    /// A program that is still being written by somebody is tried again for a moment: a plugin that was installed just
    /// now is often held open for writing by a process that was started meanwhile.
    pub(crate) async fn start(
        command: &Command,
        offer: &Offer,
        cookie: &MagicCookie,
        config: &HostConfig,
        feed: &Arc<Feed>,
    ) -> io::Result<Started> {
        let policy = command.environment.as_ref().unwrap_or(&config.inherit_env);
        let environment = environment(host_environment(), policy, offer, cookie, command);
        let mut program = tokio::process::Command::new(&command.program);
        program
            .args(&command.args)
            .env_clear()
            .envs(environment)
            .stdin(match command.stdin {
                Stdin::Inherit => Stdio::inherit(),
                Stdin::Null => Stdio::null(),
            })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        if let Some(dir) = &command.dir {
            program.current_dir(dir);
        }
        if command.own_group {
            program.process_group(0);
        }
        let patience = Instant::now() + config.busy_patience;
        let mut child = loop {
            match program.spawn() {
                Err(error)
                    if error.kind() == io::ErrorKind::ExecutableFileBusy && Instant::now() < patience =>
                {
                    sleep(BUSY_PAUSE).await;
                }
                done => break done?,
            }
        };
        let stdout = child.stdout.take().expect("stdout was asked to be a pipe");
        let stderr = child.stderr.take().expect("stderr was asked to be a pipe");
        let pid = child.id().expect("the child has not been waited for");
        let (orders, received) = mpsc::unbounded_channel();
        let (tell, ended) = watch::channel(None);
        feed.event(Event::Started { pid });
        let owned = OwnedChild { child, own_group: command.own_group };
        tokio::spawn(watch_over(owned, received, tell, Arc::clone(feed)));
        Ok(Started { process: Self { pid, orders, ended }, stdout, stderr })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    /// How the process ended, if it has.
    pub(crate) fn ended(&self) -> Option<ExitReason> {
        self.exits().now()
    }

    /// Resolves when the process has ended and been reaped.
    ///
    /// # Cancel safety
    /// May be dropped and awaited again.
    pub(crate) fn end(&self) -> impl Future<Output = ExitReason> + Send + use<> {
        self.exits().wait()
    }

    /// The end of the process for those who do not hold it.
    pub(crate) fn exits(&self) -> ProcessEnd {
        ProcessEnd(self.ended.clone())
    }

    /// Asks the process to end: SIGTERM.
    pub(crate) fn terminate(&self) {
        let _ = self.orders.send(Order::Terminate);
    }

    /// Kills the process, and its group if it leads one.
    pub(crate) fn kill(&self) {
        let _ = self.orders.send(Order::Kill);
    }
}

impl ProcessEnd {
    /// How the process ended, if it has.
    pub(crate) fn now(&self) -> Option<ExitReason> {
        *self.0.borrow()
    }

    /// Resolves when the process has ended and been reaped.
    ///
    /// # Cancel safety
    /// May be dropped and awaited again.
    pub(crate) async fn wait(mut self) -> ExitReason {
        match self.0.wait_for(Option::is_some).await {
            Ok(reason) => reason.unwrap_or(ExitReason::Unknown),
            // The task that watches is gone, and with it the process: the runtime is shutting down.
            Err(_) => ExitReason::Unknown,
        }
    }
}

/// Owns the child until it is reaped. Signals are only ever sent from here, so that none can reach a stranger who got
/// the number of a process that had been reaped.
async fn watch_over(
    mut owned: OwnedChild,
    mut orders: mpsc::UnboundedReceiver<Order>,
    ended: watch::Sender<Option<ExitReason>>,
    feed: Arc<Feed>,
) {
    let status = loop {
        tokio::select! {
            status = owned.child.wait() => break status,
            order = orders.recv() => match order {
                Some(Order::Terminate) => owned.signal(Signal::TERM),
                Some(Order::Kill) => owned.signal(Signal::KILL),
                None => {
                    // Nobody holds the handle any more.
                    owned.signal(Signal::KILL);
                    break owned.child.wait().await;
                }
            },
        }
    };
    let reason = status.map_or(ExitReason::Unknown, ExitReason::from);
    ended.send_replace(Some(reason));
    feed.event(Event::Exited { reason });
}

/// A child that does not outlive this value, nor does its group.
struct OwnedChild {
    child: Child,
    own_group: bool,
}

impl OwnedChild {
    /// Sends a signal to the process, or to its whole group if it leads one. Without effect once it has been reaped.
    fn signal(&mut self, signal: Signal) {
        let pid = self.child.id().and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?));
        let Some(pid) = pid else { return };
        let sent = if self.own_group {
            kill_process_group(pid, signal)
        } else {
            rustix::process::kill_process(pid, signal)
        };
        if let Err(error) = sent {
            tracing::debug!(%error, ?signal, "a signal could not be sent");
        }
    }
}

impl Drop for OwnedChild {
    fn drop(&mut self) {
        // The runtime itself is going away: there is no task any more that could wait. A killed process is gone in
        // a moment, and waiting for it here is what keeps it from staying behind as a zombie.
        if self.child.id().is_none() {
            return;
        }
        self.signal(Signal::KILL);
        let patience = Instant::now() + LAST_WAIT;
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < patience {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// The plugin's environment: what is inherited, then the offer, then what the command says.
fn environment(
    inherited: impl Iterator<Item = (OsString, OsString)>,
    policy: &EnvPolicy,
    offer: &Offer,
    cookie: &MagicCookie,
    command: &Command,
) -> HashMap<OsString, OsString> {
    let mut environment: HashMap<_, _> = inherited.filter(|(name, _)| passes(policy, name)).collect();
    let offered = offer.to_env(cookie).into_iter().map(|(name, value)| (OsString::from(name), value));
    let own = command.env.iter().map(|(name, value)| (name.clone(), value.clone()));
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
    // What the offer does not set is removed by it, so only secrets need care here.
    debug_assert!(variable::ALL.iter().all(|variable| *variable != PRIVATE_KEY));
    match policy {
        EnvPolicy::Clear => false,
        EnvPolicy::Only(names) => names.iter().any(|passed| OsStr::new(passed) == name),
        _ => name != OsStr::new(PRIVATE_KEY),
    }
}

/// The environment of this process.
fn host_environment() -> std::env::VarsOs {
    std::env::vars_os()
}

/// A host that is configured through its environment has its private key here, where no plugin should find it.
const PRIVATE_KEY: &str = "PLUGIN_CLIENT_KEY";

const BUSY_PAUSE: Duration = Duration::from_millis(20);

/// How long a runtime that goes away is held up by a process that was killed and is not gone.
const LAST_WAIT: Duration = Duration::from_millis(200);

#[cfg(test)]
mod tests {
    use rpcplugin_core::Versions;
    use rpcplugin_handshake::PortRange;

    use super::*;

    fn given(policy: &EnvPolicy, command: &Command) -> HashMap<OsString, OsString> {
        let offer = Offer {
            versions: Versions::from(3),
            ports: PortRange::GO_DEFAULT,
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
            ("PLUGIN_LOG_LEVEL", "debug"),
        ];
        let inherited = inherited.into_iter().map(|(name, value)| (name.into(), value.into()));
        environment(inherited, policy, &offer, &cookie, command)
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
        for name in ["PLUGIN_CLIENT_CERT", "PLUGIN_MULTIPLEX_GRPC", "PLUGIN_CLIENT_KEY"] {
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
}
