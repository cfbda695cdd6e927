//! How a plugin is started: the traits of runners and of what they start.

use std::{ffi::OsString, fmt, path::PathBuf, sync::Arc, time::Duration};

use rpcplugin_broker::Translate;
use rpcplugin_config::EnvPolicy;
use rpcplugin_core::Pid;
use rpcplugin_transport::{Dial, Dialer};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::{command::variable_names, error::LaunchFault, exit::ExitReason, requirements::Requirements};

/// Starts plugins: as a child process of this host, which a [`Command`](crate::Command) does, in a container, on another
/// machine, or as a double in a test.
///
/// `start` is called once for each attempt, and by a supervisor for each generation.
///
/// # Protocol
/// go-plugin `runner/runner.go`. Differs: the environment is a list of changes, so that a runner cannot pass on by
/// accident what was meant for the host itself.
pub trait Runner: Send + Sync {
    /// The process that this runner starts.
    type Process: PluginProcess;

    /// The program, as errors and logs show it. The last part of the path is the plugin's name.
    fn program(&self) -> PathBuf;

    /// Starts the plugin with this environment, and does not wait for its handshake line.
    ///
    /// # Errors
    /// A [`LaunchFault`]; [`LaunchFault::runner`] makes one of any error. Nothing may be left running then.
    ///
    /// # Cancel safety
    /// Dropping the future has to end what was started.
    fn start(
        &self,
        environment: &LaunchEnvironment,
    ) -> impl Future<Output = Result<StartedProcess<Self::Process>, LaunchFault>> + Send;

    /// What the host requires of the plugin. Nothing by default.
    fn requirements(&self) -> Option<&Requirements> {
        None
    }

    /// Explains a fault. The text is shown at the end of the error. Called for every fault, after the plugin has been
    /// ended, and given one second.
    fn diagnose(&self, fault: &LaunchFault) -> impl Future<Output = Option<String>> + Send {
        let _ = fault;
        async { None }
    }
}

/// The running process of a plugin. Dropping it has to end the process without awaiting anything.
pub trait PluginProcess: Send + 'static {
    /// The name of the process in logs: its pid, or the name of its container.
    fn id(&self) -> String;

    /// The pid, if the process runs on this machine and this host can see it. `None` by default.
    fn pid(&self) -> Option<Pid> {
        None
    }

    /// Called once when the plugin has answered, before the launch returns: the time for work that would have made
    /// the start slower. Does nothing by default.
    ///
    /// The launch waits for this call. The exit of the process is not noticed meanwhile.
    ///
    /// # Cancel safety
    /// The future is dropped when the launch is given up or its timeout is over.
    fn ready(&mut self) -> impl Future<Output = ()> + Send {
        async {}
    }

    /// Waits until the process has exited and has been cleaned up.
    ///
    /// # Cancel safety
    /// May be dropped and called again.
    fn wait(&mut self) -> impl Future<Output = ExitReason> + Send;

    /// Asks the process to end, as SIGTERM does. Does nothing by default.
    fn terminate(&mut self) -> impl Future<Output = ()> + Send {
        async {}
    }

    /// Ends the process at once, with all processes that it started. [`wait`](Self::wait) has to return soon after.
    fn kill(&mut self) -> impl Future<Output = ()> + Send;

    /// Lets the process run on without this host, for [`Plugin::hand_over`](crate::Plugin::hand_over). Ends the
    /// process by default.
    fn leave(self) -> impl Future<Output = ()> + Send
    where
        Self: Sized,
    {
        async move { drop(self) }
    }
}

/// A process that a runner has started.
#[non_exhaustive]
pub struct StartedProcess<P> {
    /// The process.
    pub process: P,
    /// Its stdout. The first line is the handshake line.
    pub stdout: Box<dyn AsyncRead + Send + Unpin>,
    /// Its stderr, which is its log.
    pub stderr: Box<dyn AsyncRead + Send + Unpin>,
    /// The writing end of its standard input, for [`Plugin::take_stdin`](crate::Plugin::take_stdin).
    pub stdin: Option<Box<dyn AsyncWrite + Send + Sync + Unpin>>,
    /// Translates addresses where the plugin sees other files or networks than the host. Used for the plugin's own
    /// address and for those of brokered connections, in both directions.
    pub translate: Option<Arc<dyn Translate>>,
    /// Opens the connections to the plugin: the main connection, and those to its brokered services.
    pub dialer: Dialer,
}

/// The environment that a runner has to provide to a plugin.
///
/// `Debug` shows only the names of the variables. One value is the magic cookie.
#[derive(Clone)]
#[non_exhaustive]
pub struct LaunchEnvironment {
    /// The variables of the handshake: a variable to set, or to remove (`None`).
    pub handshake_env: Vec<(String, Option<OsString>)>,
    /// The part of the host's own environment that the plugin inherits.
    pub inherit: EnvPolicy,
    /// The directory for sockets, in which the plugin has to be able to make files. A variable of the handshake names
    /// it too: a runner whose plugins know it by another path changes that variable.
    pub socket_dir: PathBuf,
    /// Whether the plugin has to end with the host, however the host ends.
    pub die_with_host: bool,
    /// The time in which the plugin may end by itself after the death of its host, before it is killed.
    pub orphan_grace: Duration,
    /// The time for which the start is tried again while the program's file is open for writing.
    pub busy_timeout: Duration,
}

impl<P> StartedProcess<P> {
    /// A process with its two outputs, no standard input, and addresses that this machine's sockets reach as they are.
    pub fn new(
        process: P,
        stdout: impl AsyncRead + Send + Unpin + 'static,
        stderr: impl AsyncRead + Send + Unpin + 'static,
    ) -> Self {
        Self {
            process,
            stdout: Box::new(stdout),
            stderr: Box::new(stderr),
            stdin: None,
            translate: None,
            dialer: Dialer::sockets(),
        }
    }

    /// Gives the host the writing end of the plugin's standard input.
    #[must_use]
    pub fn stdin(mut self, stdin: impl AsyncWrite + Send + Sync + Unpin + 'static) -> Self {
        self.stdin = Some(Box::new(stdin));
        self
    }

    /// Translates addresses between the host and this plugin.
    #[must_use]
    pub fn translate(mut self, translate: Arc<dyn Translate>) -> Self {
        self.translate = Some(translate);
        self
    }

    /// Opens the connections to this plugin in another way than by sockets. The endpoints are those that the plugin
    /// announces, after their translation. Connections from the plugin to the host's brokered services are not
    /// affected: a plugin that cannot dial the host's sockets needs
    /// [`multiplex`](rpcplugin_config::HostConfig::multiplex).
    #[must_use]
    pub fn dial(mut self, dial: impl Dial) -> Self {
        self.dialer = Dialer::new(dial);
        self
    }
}

impl fmt::Debug for LaunchEnvironment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let handshake_env = self.handshake_env.iter().map(|(name, value)| (name.as_ref(), value));
        f.debug_struct("LaunchEnvironment")
            .field("handshake_env", &variable_names(handshake_env))
            .field("inherit", &self.inherit)
            .field("socket_dir", &self.socket_dir)
            .field("die_with_host", &self.die_with_host)
            .field("orphan_grace", &self.orphan_grace)
            .field("busy_timeout", &self.busy_timeout)
            .finish()
    }
}

impl<P: fmt::Debug> fmt::Debug for StartedProcess<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StartedProcess")
            .field("process", &self.process)
            .field("translate", &self.translate)
            .field("dialer", &self.dialer)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_output_has_no_cookie() {
        let environment = LaunchEnvironment {
            handshake_env: vec![
                ("KV_COOKIE".into(), Some("hunter2".into())),
                ("PLUGIN_CLIENT_CERT".into(), None),
            ],
            inherit: EnvPolicy::Inherit,
            socket_dir: "/tmp".into(),
            die_with_host: true,
            orphan_grace: Duration::ZERO,
            busy_timeout: Duration::ZERO,
        };
        let text = format!("{environment:?}");
        assert!(text.contains(r#"["+KV_COOKIE", "-PLUGIN_CLIENT_CERT"]"#), "{text}");
        assert!(!text.contains("hunter2"), "{text}");
    }
}
