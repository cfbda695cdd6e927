//! Test mode: a plugin for hosts that attach.

use std::{collections::BTreeMap, fmt};

use rpcplugin_core::Pid;
use rpcplugin_handshake::{ReattachConfig, ReattachConfigs, ReceivedEnv};

use crate::{
    environment,
    error::ServeError,
    lifecycle::{Bound, Served, StartedBy},
    os,
    serve::Serve,
    stdio::Tee,
};

/// A plugin in test mode, which a person starts, for example in a debugger, and to which hosts attach.
///
/// There is no magic cookie and no handshake line. A host needs the [`ReattachConfig`] to attach. Hosts may come and go, also
/// several at the same time. Each has a working broker and stdio.
///
/// The plugin shuts down when its token is cancelled, when a host calls Shutdown, or when the shutdown file appears. Hosts in
/// test mode do not call Shutdown. The plugin does not exit with a host, catches no signals, sets no subscriber and no panic
/// hook, and leaves its output where it is.
///
/// ```no_run
/// # async fn example(serve: rpcplugin_server::Serve) -> Result<(), Box<dyn std::error::Error>> {
/// use tokio_util::sync::CancellationToken;
///
/// let end = CancellationToken::new();
/// let plugin = serve.shutdown_token(end.clone()).attachable().await?;
/// println!("{}", plugin.assignment("TF_REATTACH_PROVIDERS", "example.org/demo/kv"));
/// tokio::spawn(async move {
///     let _ = tokio::signal::ctrl_c().await;
///     end.cancel();
/// });
/// plugin.serve().await?;
/// # Ok(()) }
/// ```
///
/// # Protocol
/// go-plugin `server.go` `ServeTestConfig`. Differs: the broker works for every host, not only for the first. A request for
/// multiplexing in the environment is ignored, because a host that attaches does not multiplex.
#[must_use = "an attachable plugin has to serve"]
pub struct Attachable {
    bound: Bound,
    tee: bool,
}

impl Serve {
    /// Listens for hosts that attach. Variables of a host count if they are set. Usually they are not: the plugin then serves
    /// the oldest version, and without TLS.
    ///
    /// # Errors
    /// [`ServeError`].
    ///
    /// # Cancel safety
    /// Dropping the future leaves nothing behind.
    pub async fn attachable(self) -> Result<Attachable, ServeError> {
        let mut env = ReceivedEnv::from_env(environment::variable);
        env.multiplex = false;
        Ok(Attachable { bound: Bound::new(self, &env, StartedBy::Manually).await?, tee: false })
    }
}

impl Attachable {
    /// Returns the data that a host needs to attach.
    #[must_use]
    pub fn config(&self) -> ReattachConfig {
        let line = self.bound.handshake_line();
        ReattachConfig {
            version: Some(line.version),
            endpoint: line.endpoint.clone(),
            pid: Some(Pid::current()),
            test: true,
        }
    }

    /// Returns the same data as an assignment for a shell: `TF_REATTACH_PROVIDERS='{"example.org/demo/kv":{…}}'`. On Windows
    /// it is an assignment for PowerShell: `$env:TF_REATTACH_PROVIDERS='…'`.
    ///
    /// # Protocol
    /// Terraform and OpenTofu read `TF_REATTACH_PROVIDERS`, with the provider's address as `name`. Waypoint reads
    /// `WP_REATTACH_PLUGINS`.
    #[must_use]
    pub fn assignment(&self, variable: &str, name: &str) -> String {
        let configs = ReattachConfigs(BTreeMap::from([(name.to_owned(), self.config())]));
        os::assignment(variable, &configs.to_string())
    }

    /// Forwards the plugin's stdout and stderr to hosts, besides writing them as before.
    ///
    /// This affects the whole process: at most one plugin of a process may do it.
    pub fn tee_output(self) -> Self {
        Self { tee: true, ..self }
    }

    /// Serves until the shutdown begins, then drains.
    ///
    /// # Errors
    /// [`ServeError::Process`] when output cannot be captured.
    ///
    /// # Cancel safety
    /// Dropping the future ends the plugin abruptly: calls are cut, and the socket is removed.
    pub async fn serve(self) -> Result<Served, ServeError> {
        let Self { mut bound, tee } = self;
        bound.watch_shutdown_file();
        let capture = if tee { Some(bound.capture(Tee::Yes)?) } else { None };
        Ok(bound.serve(capture).await)
    }
}

impl fmt::Debug for Attachable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attachable").field("config", &self.config()).field("tee", &self.tee).finish()
    }
}
