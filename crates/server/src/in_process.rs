//! A plugin in the process of its host.

use std::{ffi::OsString, fmt, net::SocketAddr, path::Path, sync::Arc};

use bytes::Bytes;
use rpcplugin_core::{Endpoint, SocketPath};
use rpcplugin_handshake::{HandshakeLine, ReceivedEnv, check_cookie};
use rpcplugin_transport::Listen;
use tokio::task::spawn_blocking;

use crate::{
    error::ServeError,
    lifecycle::{Bound, Served, StartedBy},
    os,
    serve::Serve,
    shutdown::Shutdown,
    stdio::{CaptureBuffer, Source},
};

/// A plugin that serves in the process of its host, for tests.
///
/// It leaves the process alone: it catches no signals, does not watch the parent, sets no subscriber and no panic hook, and
/// captures no output. Everything else is as in a process of its own. Usually `rpcplugin::testing` starts it.
#[must_use = "a plugin has to serve"]
pub struct InProcessPlugin {
    bound: Bound,
}

/// Forwards output to the hosts of an [`InProcessPlugin`], as if the plugin had printed it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct PluginOutput(Arc<CaptureBuffer>);

impl Serve {
    /// Checks the cookie, agrees with the host, and binds the plugin to `listener`, in the process of the host. `variable`
    /// returns the values of the variables that the host would set for a process.
    ///
    /// The plugin announces an endpoint that no socket has. A host that dials this endpoint opens a stream that `listener`
    /// returns. Brokered services without multiplexing listen on sockets.
    ///
    /// # Errors
    /// [`ServeError`].
    ///
    /// # Cancel safety
    /// Dropping the future leaves nothing behind.
    pub async fn in_process(
        self,
        listener: impl Listen,
        variable: impl Fn(&str) -> Option<OsString>,
    ) -> Result<InProcessPlugin, ServeError> {
        check_cookie(self.config.magic_cookie.as_ref().unwrap_or(&self.cookie), &variable)?;
        let env = ReceivedEnv::from_env(variable);
        let endpoint = unbound_endpoint(env.socket_dir.as_deref());
        let serve = self.transport((listener, endpoint));
        Ok(InProcessPlugin { bound: Bound::new(serve, &env, StartedBy::Manually).await? })
    }
}

impl InProcessPlugin {
    /// The handshake line that the host has to read.
    #[must_use]
    pub fn handshake_line(&self) -> &HandshakeLine {
        self.bound.handshake_line()
    }

    /// Returns a value that forwards output to the plugin's hosts.
    #[must_use]
    pub fn output(&self) -> PluginOutput {
        PluginOutput(self.bound.output())
    }

    /// Returns a value that shuts the plugin down.
    #[must_use]
    pub fn shutdown(&self) -> Shutdown {
        self.bound.shutdown()
    }

    /// Serves until the shutdown begins, then drains. The shutdown begins when the host requests it, when the shutdown file
    /// appears, or when the plugin's own token is cancelled.
    ///
    /// # Cancel safety
    /// Dropping the future ends the plugin abruptly: calls are cut.
    pub async fn serve(self) -> Served {
        let Self { mut bound } = self;
        bound.watch_shutdown_file();
        bound.serve(None).await
    }
}

impl PluginOutput {
    /// Forwards a piece of stdout.
    ///
    /// Waits while the [buffer](rpcplugin_config::PluginConfig::output_buffer) is full and a host reads from it, but no longer
    /// than the [timeout](rpcplugin_config::PluginConfig::output_timeout).
    ///
    /// # Cancel safety
    /// The piece is forwarded even if the future is dropped.
    pub async fn stdout(&self, data: impl Into<Bytes>) {
        self.push(Source::Stdout, data.into()).await;
    }

    /// Forwards a piece of stderr that is not a log record. Waits as [`stdout`](Self::stdout) does.
    ///
    /// # Cancel safety
    /// The piece is forwarded even if the future is dropped.
    pub async fn stderr(&self, data: impl Into<Bytes>) {
        self.push(Source::Stderr, data.into()).await;
    }

    async fn push(&self, source: Source, data: Bytes) {
        let buffer = Arc::clone(&self.0);
        // The buffer blocks as a pipe does. A task would block the thread on which the host reads.
        let _ = spawn_blocking(move || buffer.push(source, data)).await;
    }
}

/// Returns an endpoint of the kind that plugins of this system announce first. No socket is bound to it.
fn unbound_endpoint(socket_dir: Option<&Path>) -> Endpoint {
    let path = socket_dir.filter(|_| os::HAS_UNIX_SOCKETS).map(|dir| SocketPath::new(dir.join("in-process")));
    match path {
        Some(Ok(path)) => Endpoint::Unix(path),
        _ => SocketAddr::from(([127, 0, 0, 1], 1)).into(),
    }
}

impl fmt::Debug for InProcessPlugin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InProcessPlugin")
            .field("handshake_line", self.bound.handshake_line())
            .finish_non_exhaustive()
    }
}
