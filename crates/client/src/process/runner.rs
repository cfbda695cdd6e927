//! Ways to start a plugin.

use std::{ffi::OsString, fmt, path::PathBuf, sync::Arc, time::Duration};

use rpcplugin_broker::Translate;
use rpcplugin_config::EnvPolicy;
use rpcplugin_core::Pid;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::{command::variable_names, error::LaunchFault, exit::ExitReason};

/// A way to start a plugin: as a process of this host, which is what a [`Command`](crate::Command) does, or in a
/// container, on another machine, or as a double in a test.
///
/// A runner is asked for a plugin once for each try, and again by whoever supervises it.
///
/// # Protocol
/// go-plugin `runner/runner.go`. Differs: the environment that is offered is a list of changes, so that a runner cannot
/// hand on by accident what was meant for the host itself.
pub trait Runner: Send + Sync {
    /// What this runner starts.
    type Process: PluginProcess;

    /// What is started, as errors and logs call it. The last part of the path is the plugin's name.
    fn program(&self) -> PathBuf;

    /// Starts the plugin with these environment and does not wait for it to say anything.
    ///
    /// # Errors
    /// A [`LaunchFault`]; [`LaunchFault::runner`] makes one of any error. Nothing may be left running then.
    ///
    /// # Cancel safety
    /// Nothing may be left running either when the future is dropped.
    fn start(
        &self,
        environment: &LaunchEnvironment,
    ) -> impl Future<Output = Result<StartedProcess<Self::Process>, LaunchFault>> + Send;

    /// What can be said about a plugin that did not start for this reason: shown at the end of the error. It is asked
    /// about every fault, when nothing of the plugin runs any more, and has a second.
    fn diagnose(&self, fault: &LaunchFault) -> impl Future<Output = Option<String>> + Send {
        let _ = fault;
        async { None }
    }
}

/// A plugin that runs. Dropping it ends it by the shortest way; no future may be needed for that.
pub trait PluginProcess: Send + 'static {
    /// By what the plugin is known: the number of its process, or the name of its container.
    fn id(&self) -> String;

    /// Its process, if that is one of this machine which this host may see. By default there is none.
    fn pid(&self) -> Option<Pid> {
        None
    }

    /// Told once, when the plugin has answered and before anybody gets to use it: the time for whatever would have made
    /// its start slower. By default nothing is done.
    ///
    /// The launch waits for it, and the plugin is not watched meanwhile.
    ///
    /// # Cancel safety
    /// Dropped when the launch is given up, or its deadline has passed.
    fn ready(&mut self) -> impl Future<Output = ()> + Send {
        async {}
    }

    /// Waits until it has ended and nothing is left of it.
    ///
    /// # Cancel safety
    /// May be dropped and called again.
    fn wait(&mut self) -> impl Future<Output = ExitReason> + Send;

    /// Asks it to end, as SIGTERM does. By default nobody is asked.
    fn terminate(&mut self) -> impl Future<Output = ()> + Send {
        async {}
    }

    /// Ends it whether it wants to or not, with what it started. [`wait`](Self::wait) has to return soon after.
    fn kill(&mut self) -> impl Future<Output = ()> + Send;

    /// Lets it go on without this host, for [`Plugin::hand_over`](crate::Plugin::hand_over). By default it cannot, and
    /// ends.
    fn leave(self) -> impl Future<Output = ()> + Send
    where
        Self: Sized,
    {
        async move { drop(self) }
    }
}

/// A plugin that was started a moment ago.
#[non_exhaustive]
pub struct StartedProcess<P> {
    /// The plugin.
    pub process: P,
    /// What it prints: first its handshake line.
    pub stdout: Box<dyn AsyncRead + Send + Unpin>,
    /// What it writes to its log.
    pub stderr: Box<dyn AsyncRead + Send + Unpin>,
    /// The writing end of its standard input, if the host is to have it.
    pub stdin: Option<Box<dyn AsyncWrite + Send + Sync + Unpin>>,
    /// Translates addresses, if the plugin does not see the files and networks that the host sees. It is asked for the
    /// plugin's own address and for those of brokered connections, in both directions.
    pub translate: Option<Arc<dyn Translate>>,
}

/// What a plugin has to find around it.
///
/// `Debug` does not show the values of the environment, the magic cookie among them.
#[derive(Clone)]
#[non_exhaustive]
pub struct LaunchEnvironment {
    /// The handshake's offer: environment variables to set, and those to remove (`None`) should they be there.
    pub handshake_env: Vec<(String, Option<OsString>)>,
    /// How much of the host's own environment the plugin inherits besides.
    pub inherit: EnvPolicy,
    /// The directory for sockets, which the plugin has to be able to write to. It is named in the offer too: a runner
    /// whose plugins know it by another name changes that there.
    pub socket_dir: PathBuf,
    /// Whether the plugin has to die with the host, however the host dies.
    pub die_with_host: bool,
    /// How long a plugin whose host has died may take to end by itself, before it is killed.
    pub orphan_grace: Duration,
    /// How long a program that is still being written is tried again.
    pub busy_timeout: Duration,
}

impl<P> StartedProcess<P> {
    /// A plugin with its two outputs, no standard input and addresses that need no translation.
    pub fn new(
        process: P,
        stdout: impl AsyncRead + Send + Unpin + 'static,
        stderr: impl AsyncRead + Send + Unpin + 'static,
    ) -> Self {
        Self { process, stdout: Box::new(stdout), stderr: Box::new(stderr), stdin: None, translate: None }
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
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cookie_is_not_shown() {
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
