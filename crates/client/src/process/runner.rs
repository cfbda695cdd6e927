//! How a plugin is started: the traits of runners and of what they start.

use std::{ffi::OsString, fmt, path::PathBuf, sync::Arc, time::Duration};

use rpcplugin_broker::Translate;
use rpcplugin_config::{EnvPolicy, HostConfig};
use rpcplugin_core::Pid;
use rpcplugin_handshake::variable;
use rpcplugin_transport::{Dial, Dialer, InheritedConnection};
use tokio::io::{AsyncRead, AsyncWrite};

use super::merged;
use crate::{command::variable_names, error::LaunchFault, exit::ExitReason, requirements::Requirements};

/// Starts plugins: as a child process of this host, which a [`Command`](crate::Command) does, in a container, on another
/// machine, or as a double in a test.
///
/// `start` is called once for each attempt, and by a supervisor for each generation.
///
/// # Runners that ask a daemon
/// A container engine or a cluster starts the process, and not this host. Such a runner differs from one of child processes:
/// - It sets the variables of [`LaunchEnvironment::remote_env`] and nothing of the host's own environment. Among them is the
///   time after which the plugin ends without a host, because the plugin does not notice the exit of its host by other means.
/// - The engine may deliver stdout and stderr in one stream: [`StartedProcess::merged`].
/// - The plugin may see other paths and networks: [`StartedProcess::translate`] and [`StartedProcess::dial`].
/// - The engine knows why the process ended, beyond a status: [`ExitReason::Reported`]. The end of a stream is not the end of
///   the process: an engine that restarts closes its streams. Ask the engine before [`wait`](PluginProcess::wait) returns.
/// - A process is dropped without a future in which the daemon could be asked: see [`PluginProcess`].
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
    /// Dropping the future has to end what was started. The launch timeout drops it, and so does a host that gives the launch
    /// up. A daemon may have carried out a request whose response did not come: such a runner owns the name of the plugin before
    /// the request, and removes what has this name.
    fn start(
        &self,
        environment: &LaunchEnvironment,
    ) -> impl Future<Output = Result<StartedProcess<Self::Process>, LaunchFault>> + Send;

    /// What the host requires of the plugin. Nothing by default.
    fn requirements(&self) -> Option<&Requirements> {
        None
    }

    /// The sandbox of the plugin, in which a failed launch looks for what was denied. No sandbox by default.
    #[cfg(feature = "sandbox")]
    fn sandbox(&self) -> Option<&rpcplugin_sandbox::Sandbox> {
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
///
/// A runner of child processes sends SIGKILL. A runner that asks a daemon cannot wait for the response when it is dropped: `Drop`
/// hands the request to a task of the runtime, and nothing awaits that task. The host may exit before the request is sent, and a
/// runtime that shuts down drops the task. So a drop is a request without a promise, and such a runner needs two more things:
/// - The daemon removes by itself what has ended, for example with `auto_remove` or an owner reference.
/// - The plugin ends by itself without a host, by the time of [`LaunchEnvironment::remote_env`]. For plugins in other languages the
///   next launch removes what hosts that are gone have left.
///
/// [`kill`](Self::kill) followed by [`wait`](Self::wait) is the end that is waited for:
/// [`Plugin::shut_down`](crate::Plugin::shut_down) and [`Plugin::kill`](crate::Plugin::kill) do this.
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
    /// The connection that was offered to the process. If the process takes it, it is used in place of `translate` and `dialer`.
    pub(crate) offered: Option<InheritedConnection>,
    /// What is enforced on the process. `None` if it is not confined.
    #[cfg(feature = "sandbox")]
    pub confinement: Option<rpcplugin_sandbox::Confinement>,
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
    /// The time for which a plugin that is not a child process serves while no host is connected to it. Zero if there is no
    /// limit. [`remote_env`](Self::remote_env) passes it on.
    pub orphan_timeout: Duration,
    /// The time for which the start is tried again while the program's file is open for writing.
    pub busy_timeout: Duration,
    /// Whether to offer the plugin a connection that it inherits. Only [`Command`](crate::Command) can do this.
    pub inherit_connection: bool,
    /// Whether to offer the plugin the lane. Only [`Command`](crate::Command) can do this.
    pub lane: bool,
}

impl LaunchEnvironment {
    /// The environment of a launch with the default settings, for the unit test of a runner: version 1, no TLS, no lane, no
    /// cookie, and this directory for sockets.
    ///
    /// A host makes the environment of a real launch.
    ///
    /// ```
    /// use rpcplugin_client::LaunchEnvironment;
    ///
    /// let environment = LaunchEnvironment::new("/run/kv").set("KV_PLUGIN", "cookie");
    /// let variables = environment.remote_env();
    /// assert!(variables.contains(&("PLUGIN_UNIX_SOCKET_DIR".to_owned(), "/run/kv".into())));
    /// assert!(variables.contains(&("PLUGIN_ORPHAN_TIMEOUT".to_owned(), "60s".into())));
    /// ```
    #[must_use]
    pub fn new(socket_dir: impl Into<PathBuf>) -> Self {
        let (config, socket_dir) = (HostConfig::default(), socket_dir.into());
        let handshake_env = variable::ALL.map(|name| (name.to_owned(), None)).into();
        let environment = Self {
            handshake_env,
            inherit: config.inherit_env,
            socket_dir: socket_dir.clone(),
            die_with_host: config.die_with_host,
            orphan_grace: config.orphan_grace,
            orphan_timeout: config.orphan_timeout,
            busy_timeout: config.busy_timeout,
            inherit_connection: config.inherit_connection,
            // The program that starts this plugin may pass its handshake line on to another host.
            lane: false,
        };
        environment.set(variable::PROTOCOL_VERSIONS, "1").set(variable::UNIX_SOCKET_DIR, socket_dir)
    }

    /// Sets a variable of the handshake, in the place of an earlier value.
    #[must_use]
    pub fn set(self, name: impl Into<String>, value: impl Into<OsString>) -> Self {
        self.changed(name.into(), Some(value.into()))
    }

    /// Removes a variable from the environment of the plugin.
    #[must_use]
    pub fn remove(self, name: impl Into<String>) -> Self {
        self.changed(name.into(), None)
    }

    /// Sets which variables of the host's own environment the plugin inherits.
    #[must_use]
    pub fn inherit(self, inherit: EnvPolicy) -> Self {
        Self { inherit, ..self }
    }

    /// Sets whether the plugin has to end with the host.
    #[must_use]
    pub fn die_with_host(self, die_with_host: bool) -> Self {
        Self { die_with_host, ..self }
    }

    /// Sets the time in which the plugin may end by itself after the death of its host.
    #[must_use]
    pub fn orphan_grace(self, orphan_grace: Duration) -> Self {
        Self { orphan_grace, ..self }
    }

    /// Sets the time for which a plugin that is not a child process serves without a host. Zero sets no limit.
    #[must_use]
    pub fn orphan_timeout(self, orphan_timeout: Duration) -> Self {
        Self { orphan_timeout, ..self }
    }

    /// The variables that a runner sets for a plugin that is not a child process of this host, each once: those of the
    /// handshake that have a value, and `PLUGIN_ORPHAN_TIMEOUT`, so that the plugin ends when its host is gone. Nothing of the
    /// host's own environment is among them.
    #[must_use]
    pub fn remote_env(&self) -> Vec<(String, OsString)> {
        let mut variables: Vec<(String, OsString)> = Vec::new();
        let timeout = (!self.orphan_timeout.is_zero())
            .then(|| (variable::ORPHAN_TIMEOUT.to_owned(), Some(go_duration(self.orphan_timeout).into())));
        // As in a process, the last value of a variable counts.
        for (name, value) in self.handshake_env.iter().cloned().chain(timeout) {
            variables.retain(|(known, _)| *known != name);
            variables.extend(value.map(|value| (name, value)));
        }
        variables
    }

    fn changed(mut self, name: String, value: Option<OsString>) -> Self {
        self.handshake_env.retain(|(known, _)| *known != name);
        self.handshake_env.push((name, value));
        self
    }
}

/// A duration as Go's `time.ParseDuration` reads it too.
fn go_duration(duration: Duration) -> String {
    match duration.subsec_nanos() {
        0 => format!("{}s", duration.as_secs()),
        _ => format!("{}ms", duration.as_millis().max(1)),
    }
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
            offered: None,
            #[cfg(feature = "sandbox")]
            confinement: None,
        }
    }

    /// A process whose stdout and stderr come in one stream, as the logs of a pod do. Otherwise as [`new`](Self::new).
    ///
    /// The first line that is a handshake line is the plugin's handshake line. All other bytes are its log, in their order: lines
    /// before the handshake line, further handshake lines, bytes that are not text, and a last line without a line break.
    /// So a plugin may print other lines before its handshake line, and
    /// [`stray_lines`](rpcplugin_config::HostConfig::stray_lines) has no effect.
    ///
    /// A faulty handshake line with `unix` or `tcp` in its third field counts as a handshake line: the launch reports the fault
    /// at once. A line of more than 1 MiB is never one. The fields [`stdout`](Self::stdout) and [`stderr`](Self::stderr) have to
    /// be read at the same time, as the host does.
    pub fn merged(process: P, output: impl AsyncRead + Send + Unpin + 'static) -> Self {
        let (line, log) = merged::split(output);
        Self::new(process, line, log)
    }

    /// Wraps the process, and keeps everything else: for a runner that changes what another runner has started.
    pub fn map<Q>(self, wrap: impl FnOnce(P) -> Q) -> StartedProcess<Q> {
        StartedProcess {
            process: wrap(self.process),
            stdout: self.stdout,
            stderr: self.stderr,
            stdin: self.stdin,
            translate: self.translate,
            dialer: self.dialer,
            offered: self.offered,
            #[cfg(feature = "sandbox")]
            confinement: self.confinement,
        }
    }

    /// Gives the host the writing end of the plugin's standard input.
    #[must_use]
    pub fn stdin(mut self, stdin: impl AsyncWrite + Send + Sync + Unpin + 'static) -> Self {
        self.stdin = Some(Box::new(stdin));
        self
    }

    /// Reports what is enforced on the process.
    #[cfg(feature = "sandbox")]
    #[must_use]
    pub fn confinement(mut self, confinement: Option<rpcplugin_sandbox::Confinement>) -> Self {
        self.confinement = confinement;
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
            .field("orphan_timeout", &self.orphan_timeout)
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
        let environment =
            LaunchEnvironment::new("/tmp").set("KV_COOKIE", "hunter2").remove("PLUGIN_CLIENT_CERT");
        let text = format!("{environment:?}");
        assert!(text.contains(r#""+KV_COOKIE", "-PLUGIN_CLIENT_CERT"]"#), "{text}");
        assert!(!text.contains("hunter2"), "{text}");
    }

    #[test]
    fn a_remote_plugin_gets_each_variable_once_and_nothing_of_the_host() {
        let environment = LaunchEnvironment::new("/sockets")
            .set("KV_COOKIE", "old")
            .set("KV_COOKIE", "value")
            .set("GONE", "1")
            .remove("GONE")
            .orphan_timeout(Duration::from_millis(1500));
        let text = |name: &str, value: &str| (name.to_owned(), OsString::from(value));
        let expected = [
            text("PLUGIN_PROTOCOL_VERSIONS", "1"),
            text("PLUGIN_UNIX_SOCKET_DIR", "/sockets"),
            text("KV_COOKIE", "value"),
            text("PLUGIN_ORPHAN_TIMEOUT", "1500ms"),
        ];
        assert_eq!(environment.remote_env(), expected);
        let unlimited = environment.orphan_timeout(Duration::ZERO).remote_env();
        assert_eq!(unlimited, expected[..3]);

        // A host that removes the variable for child processes still passes its own value on.
        let mut environment = LaunchEnvironment::new("/sockets").remove("PLUGIN_ORPHAN_TIMEOUT");
        environment.handshake_env.push(("KV_COOKIE".to_owned(), Some("first".into())));
        environment.handshake_env.push(("KV_COOKIE".to_owned(), Some("last".into())));
        let variables = environment.remote_env();
        assert_eq!(variables[2..], [text("KV_COOKIE", "last"), text("PLUGIN_ORPHAN_TIMEOUT", "60s")]);
    }
}
