//! Serving hosts that did not start the plugin.

use std::{collections::BTreeMap, fmt, sync::Arc};

use rpcplugin_handshake::{ReattachConfig, ReattachConfigs, ReceivedEnv};

use crate::{
    error::ServeError,
    output::{Capture, Tee},
    serve::{Serve, process_environment},
    stages::{Bound, Served, Starter},
};

/// A plugin in test mode: started by hand, in a debugger or in a test, for hosts that attach to it.
///
/// There is no magic cookie and no handshake line; what a host has to know is the [`ReattachConfig`]. Hosts may come
/// and go, one after the other or together, and each has a working broker and stdio. The plugin ends when it is told
/// to: by its token, or by a host that calls Shutdown, which those in test mode do not. It follows no host into death,
/// catches no signal, sets no subscriber and no panic hook, and leaves its output where it is.
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
/// go-plugin `server.go` `ServeTestConfig`. Differs: the broker works for every host and not for the first only; a
/// request for multiplexing in the environment is passed over, because a host that attaches cannot do it.
#[must_use = "an attachable plugin has to serve"]
pub struct Attachable {
    bound: Bound,
    tee: bool,
}

impl Serve {
    /// Listens for hosts that attach. The offer in the environment counts as far as it is there: usually it is not, the
    /// oldest version is served, and nobody is authenticated.
    ///
    /// # Errors
    /// [`ServeError`].
    ///
    /// # Cancel safety
    /// Dropping the future leaves nothing behind.
    pub async fn attachable(self) -> Result<Attachable, ServeError> {
        let mut offer = ReceivedEnv::from_env(process_environment);
        offer.multiplex = false;
        Ok(Attachable { bound: Bound::new(self, &offer, Starter::Hand).await?, tee: false })
    }
}

impl Attachable {
    /// What a host needs to attach.
    #[must_use]
    pub fn config(&self) -> ReattachConfig {
        let answer = self.bound.answer();
        ReattachConfig {
            version: Some(answer.version),
            endpoint: answer.endpoint.clone(),
            pid: Some(rpcplugin_core::Pid::current()),
            test: true,
        }
    }

    /// The same as an assignment for a shell: `TF_REATTACH_PROVIDERS='{"example.org/demo/kv":{…}}'`.
    ///
    /// # Protocol
    /// Terraform and OpenTofu read that variable, by the provider's address; Waypoint reads `WP_REATTACH_PLUGINS`.
    #[must_use]
    pub fn assignment(&self, variable: &str, name: &str) -> String {
        let configs = ReattachConfigs(BTreeMap::from([(name.to_owned(), self.config())]));
        format!("{variable}='{}'", configs.to_string().replace('\'', r"'\''"))
    }

    /// Shows hosts what the plugin writes to its standard output and error, besides writing it there.
    ///
    /// This concerns the whole process, so that no two plugins in one process may do it.
    pub fn tee_output(self) -> Self {
        Self { tee: true, ..self }
    }

    /// Serves until the plugin's token fires, a host calls Shutdown, or the shutdown file appears; then drains.
    ///
    /// # Errors
    /// [`ServeError::Process`] when output cannot be captured.
    ///
    /// # Cancel safety
    /// Dropping the future ends the plugin rudely: calls are cut, and the socket is removed.
    pub async fn serve(self) -> Result<Served, ServeError> {
        let Self { bound, tee } = self;
        let _watcher = bound.watch_shutdown_file();
        let capture = if tee {
            Some(Capture::start(Arc::clone(bound.output()), Tee::Yes).map_err(ServeError::Process)?)
        } else {
            None
        };
        Ok(bound.serve(capture).await)
    }
}

impl fmt::Debug for Attachable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attachable").field("config", &self.config()).field("tee", &self.tee).finish()
    }
}
