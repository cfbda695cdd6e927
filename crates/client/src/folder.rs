//! The plugins whose sockets are in a folder.
//!
//! The folder is listed at an interval. Notifications of the operating system would not replace this: there is no notification
//! when a process begins to listen on a socket that exists, none across the borders of some container runtimes and network
//! file systems, and their number is limited per user. The listing finds all of this, and one that finds no change costs
//! microseconds.

mod error;
mod event;
mod follow;

use std::{
    fmt,
    path::{Path, PathBuf},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use futures_core::Stream;
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

use self::follow::Follower;
pub use self::{
    error::FolderError,
    event::{FolderEvent, FolderPlugin, GoneReason},
};
use crate::{attach::AttachError, host::Host, reattach::attachment::Attachment};

/// The plugins whose sockets are in a folder, as a stream of events. Made by [`Host::attach_all`].
///
/// Dropping it ends the following. It ends no plugin, and removes no file.
///
/// Up to 64 events wait for a reader. After that the folder is not followed further until the reader takes some, so that no
/// event is lost.
pub struct SocketFolder {
    dir: PathBuf,
    events: mpsc::Receiver<FolderEvent>,
    _task: AbortOnDropHandle<()>,
}

impl Host {
    /// Attaches to every plugin whose Unix socket is in a folder, and follows the folder: sidecars that share a volume with this
    /// host, and services that other programs start.
    ///
    /// - The name of a plugin is the name of its file without the extension. Files other than sockets are ignored, and so are
    ///   files whose names begin with a dot: a plugin can listen under such a name, and rename the socket when it is ready.
    /// - The security is that of [`Host::attach`] without further data: mutual TLS if this host's configuration has a
    ///   certificate, a key and roots, and plain text otherwise. The permissions of socket and folder decide who can call the
    ///   plugin then.
    /// - Each plugin is asked for its health and, by gRPC's reflection, for its services. The plugin needs no other service,
    ///   so that every gRPC server can take part. A plugin that reports another health than serving is not added until it
    ///   serves.
    /// - A socket that cannot be attached to is reported, once for each cause. The attachment is made again after growing
    ///   pauses of up to 10 seconds, if the cause may pass, and at once when another socket takes the path.
    /// - A missing folder has no plugins. The host waits for it.
    ///
    /// The plugins belong to the programs that started them: dropping a [`Plugin`](crate::Plugin) of the folder,
    /// [`Plugin::shut_down`](crate::Plugin::shut_down) and [`Plugin::kill`](crate::Plugin::kill) leave it running, as in test
    /// mode.
    ///
    /// Windows has no such sockets: [`FolderEvent::Unreadable`] is the only event there.
    ///
    /// ```no_run
    /// # use rpcplugin_client::{FolderEvent, Host};
    /// # use std::collections::BTreeMap;
    /// # async fn example(host: Host) -> Result<(), Box<dyn std::error::Error>> {
    /// let mut folder = host.attach_all("/run/my-app/plugins")?;
    /// let mut plugins = BTreeMap::new();
    /// while let Some(event) = folder.next().await {
    ///     match event {
    ///         FolderEvent::Added(added) => {
    ///             plugins.insert(added.path, added.plugin);
    ///         }
    ///         FolderEvent::Gone { path, .. } => {
    ///             plugins.remove(&path);
    ///         }
    ///         FolderEvent::Failed { error, .. } => eprintln!("{error}"),
    ///         _ => {}
    ///     }
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`AttachError::Settings`] and [`AttachError::Multiplexed`], with which no plugin could be attached to. All other
    /// errors are events.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    #[expect(clippy::result_large_err, reason = "the error of every attachment, once for a folder")]
    pub fn attach_all(&self, dir: impl Into<PathBuf>) -> Result<SocketFolder, AttachError> {
        self.attach_all_with(dir, |_, attachment| Some(attachment))
    }

    /// As [`attach_all`](Self::attach_all), with a choice for each socket: `prepare` gets the path of the socket and its
    /// attachment, and returns the attachment with other settings, such as a required capability or certificates. `None` leaves
    /// the socket alone.
    ///
    /// # Errors
    /// As [`attach_all`](Self::attach_all).
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    #[expect(clippy::result_large_err, reason = "the error of every attachment, once for a folder")]
    pub fn attach_all_with(
        &self,
        dir: impl Into<PathBuf>,
        prepare: impl Fn(&Path, Attachment) -> Option<Attachment> + Send + Sync + 'static,
    ) -> Result<SocketFolder, AttachError> {
        self.config.check()?;
        if self.config.multiplex {
            return Err(AttachError::Multiplexed);
        }
        let dir = dir.into();
        let (events, received) = mpsc::channel(WAITING_EVENTS);
        let follower = Follower::new(self.clone(), dir.clone(), Arc::new(prepare), events);
        let _task = AbortOnDropHandle::new(tokio::spawn(follower.run()));
        Ok(SocketFolder { dir, events: received, _task })
    }
}

impl SocketFolder {
    /// The folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.dir
    }

    /// The next event. `None` when the runtime shuts down.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub async fn next(&mut self) -> Option<FolderEvent> {
        self.events.recv().await
    }
}

impl Stream for SocketFolder {
    type Item = FolderEvent;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<FolderEvent>> {
        self.get_mut().events.poll_recv(cx)
    }
}

impl fmt::Debug for SocketFolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SocketFolder").field("dir", &self.dir).finish_non_exhaustive()
    }
}

/// The events that wait for a reader.
const WAITING_EVENTS: usize = 64;
