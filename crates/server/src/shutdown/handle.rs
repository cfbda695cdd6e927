//! The handle that begins the shutdown and is awaited by everything that ends with it.

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

use tokio_util::sync::CancellationToken;

/// Why a plugin shut down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ShutdownCause {
    /// The host called `GRPCController.Shutdown`.
    HostRequest,
    /// The process received SIGTERM or SIGHUP, or SIGINT where it is not ignored. On Windows: Ctrl-Break, the end of the console
    /// or of the system, or Ctrl-C where it is not ignored.
    Signal,
    /// The host has exited.
    HostExited,
    /// The shutdown file appeared.
    ShutdownFile,
    /// The plugin cancelled its shutdown token.
    PluginRequest,
    /// The one connection of a multiplexing host has ended.
    Disconnected,
    /// No host has been connected for the time that the host set: see
    /// [`ReceivedEnv::orphan_timeout`](rpcplugin_handshake::ReceivedEnv::orphan_timeout).
    Orphaned,
}

/// A handle to the shutdown of a plugin. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Shutdown {
    token: CancellationToken,
    cause: Arc<OnceLock<ShutdownCause>>,
}

impl Shutdown {
    pub(crate) fn new(token: CancellationToken) -> Self {
        Self { token, cause: Arc::default() }
    }

    /// Begins the shutdown. Later calls have no effect: the first cause is kept.
    pub fn begin(&self, cause: ShutdownCause) {
        if self.cause.set(cause).is_ok() {
            tracing::debug!(%cause, "the plugin is shutting down");
        }
        self.token.cancel();
    }

    /// Resolves when the shutdown begins.
    ///
    /// # Cancel safety
    /// May be dropped and awaited again.
    pub async fn begun(&self) {
        self.token.cancelled().await;
    }

    /// Returns a token that is cancelled when the shutdown begins. Cancelling the token begins the shutdown.
    #[must_use]
    pub fn token(&self) -> CancellationToken {
        self.token.clone()
    }

    /// The cause of the shutdown. Without a recorded cause the token was cancelled by the plugin.
    pub(crate) fn cause(&self) -> ShutdownCause {
        self.cause.get().copied().unwrap_or(ShutdownCause::PluginRequest)
    }
}

impl fmt::Display for ShutdownCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::HostRequest => "the host requested it",
            Self::Signal => "a signal requested it",
            Self::HostExited => "the host has exited",
            Self::ShutdownFile => "the shutdown file appeared",
            Self::PluginRequest => "the plugin requested it",
            Self::Disconnected => "the host closed its connection",
            Self::Orphaned => "no host has been connected for the orphan timeout",
        })
    }
}
