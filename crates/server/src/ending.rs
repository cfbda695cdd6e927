//! Why a plugin ends, told to everything that has to end with it.

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

use tokio_util::sync::CancellationToken;

/// Why a plugin stopped serving.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cause {
    /// The host called `GRPCController.Shutdown`.
    Shutdown,
    /// The process received SIGTERM or SIGHUP, or SIGINT where it is not ignored.
    Signal,
    /// The host's process has died.
    HostGone,
    /// The shutdown file appeared.
    ShutdownFile,
    /// The plugin itself asked, through its token.
    Asked,
    /// The one connection of a multiplexing host is over.
    Disconnected,
}

/// The end of a plugin: asked for by whoever comes first, awaited by everything that serves.
///
/// Cheap to clone.
#[derive(Clone, Debug)]
pub struct Ending {
    token: CancellationToken,
    cause: Arc<OnceLock<Cause>>,
}

impl Ending {
    pub(crate) fn new(token: CancellationToken) -> Self {
        Self { token, cause: Arc::default() }
    }

    /// Ends the plugin. The first cause is the one that counts.
    pub fn begin(&self, cause: Cause) {
        if self.cause.set(cause).is_ok() {
            tracing::debug!(%cause, "the plugin is ending");
        }
        self.token.cancel();
    }

    /// Resolves when the plugin begins to end.
    ///
    /// # Cancel safety
    /// May be dropped and awaited again.
    pub async fn begun(&self) {
        self.token.cancelled().await;
    }

    /// A token that fires when the plugin begins to end. Cancelling it ends the plugin.
    #[must_use]
    pub fn token(&self) -> CancellationToken {
        self.token.clone()
    }

    /// Why the plugin ends, or will have ended if nothing says otherwise.
    pub(crate) fn cause(&self) -> Cause {
        self.cause.get().copied().unwrap_or(Cause::Asked)
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Shutdown => "the host asked for it",
            Self::Signal => "a signal asked for it",
            Self::HostGone => "the host is gone",
            Self::ShutdownFile => "the shutdown file appeared",
            Self::Asked => "the plugin asked for it",
            Self::Disconnected => "the host closed its connection",
        })
    }
}
