//! The task that follows a folder of sockets.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use rpcplugin_core::SocketPath;
use rpcplugin_handshake::ReattachConfig;
use tokio::{
    sync::{Semaphore, mpsc},
    task::{AbortHandle, JoinSet, spawn_blocking},
    time::{Instant, MissedTickBehavior, interval},
};
use tonic_health::ServingStatus;

use super::{
    error::FolderError,
    event::{FolderEvent, FolderPlugin, GoneReason},
};
use crate::{
    attach::AttachError,
    backoff::Backoff,
    connection::{health::health_of_any_server, reflection},
    error::ConnectFault,
    exit::ExitReason,
    host::Host,
    os::{SocketFileId, sockets_in},
    plugin::Plugin,
    reattach::attachment::Attachment,
};

/// Decides how to attach to the plugin at a path, or not to.
pub(super) type Prepare = Arc<dyn Fn(&Path, Attachment) -> Option<Attachment> + Send + Sync>;

/// Follows a folder of sockets.
pub(super) struct Follower {
    host: Host,
    dir: PathBuf,
    prepare: Prepare,
    events: mpsc::Sender<FolderEvent>,
    sockets: BTreeMap<PathBuf, Known>,
    attaching: JoinSet<(Socket, Result<Box<FolderPlugin>, FolderError>)>,
    /// The exits of the plugins. `None` if the plugin is not watched any more, because the host dropped it.
    exits: JoinSet<(Socket, Option<ExitReason>)>,
    slots: Arc<Semaphore>,
    /// The sockets of the first listing that have not been reported. `None` when all have been.
    awaited: Option<BTreeSet<PathBuf>>,
    /// The error of the last listing, if it was reported.
    unreadable: Option<io::ErrorKind>,
}

/// A socket file.
#[derive(Debug, Clone)]
struct Socket {
    path: PathBuf,
    id: SocketFileId,
}

/// A socket that was in the last listing.
struct Known {
    id: SocketFileId,
    state: State,
    /// The code of the last error that was reported.
    reported: Option<String>,
    /// The attachments that failed one after another.
    failures: u32,
}

/// The state of a socket.
enum State {
    Attaching(AbortHandle),
    /// The plugin was added.
    Attached,
    /// The next attachment is made then.
    Waiting(Instant),
    /// No attachment is made: the host does not want it, or it would fail again.
    Left,
}

/// The reader of the events is gone.
struct Closed;

impl Follower {
    pub(super) fn new(host: Host, dir: PathBuf, prepare: Prepare, events: mpsc::Sender<FolderEvent>) -> Self {
        Self {
            host,
            dir,
            prepare,
            events,
            sockets: BTreeMap::new(),
            attaching: JoinSet::new(),
            exits: JoinSet::new(),
            slots: Arc::new(Semaphore::new(AT_ONCE)),
            awaited: Some(BTreeSet::new()),
            unreadable: None,
        }
    }

    /// Follows the folder until the reader of the events is gone.
    pub(super) async fn run(mut self) {
        let mut listings = interval(LISTING_INTERVAL);
        listings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut is_first = true;
        loop {
            let done = tokio::select! {
                _ = listings.tick() => self.list(std::mem::take(&mut is_first)).await,
                // A task that was aborted has no result.
                Some(attached) = self.attaching.join_next() => match attached {
                    Ok((socket, attached)) => self.attached(socket, attached).await,
                    Err(_) => Ok(()),
                },
                Some(exit) = self.exits.join_next() => match exit {
                    Ok((socket, Some(reason))) => self.exited(&socket, reason).await,
                    Ok((_, None)) | Err(_) => Ok(()),
                },
                () = self.events.closed() => Err(Closed),
            };
            let done = match done {
                Ok(()) => self.report_up_to_date().await,
                closed => closed,
            };
            if let Err(Closed) = done {
                return;
            }
        }
    }

    /// Lists the folder, and acts on what has changed.
    async fn list(&mut self, is_first: bool) -> Result<(), Closed> {
        let dir = self.dir.clone();
        // Fails only when the runtime shuts down.
        let listed = spawn_blocking(move || sockets_in(&dir)).await.map_err(|_| Closed)?;
        let found: BTreeMap<_, _> = match listed {
            Ok(found) => found.into_iter().filter(|(path, _)| !is_hidden(path)).collect(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => BTreeMap::new(),
            Err(error) => return self.not_listed(error).await,
        };
        self.unreadable = None;
        self.forget_what_is_missing(&found).await?;
        let now = Instant::now();
        for (path, id) in found {
            if is_first && let Some(awaited) = &mut self.awaited {
                awaited.insert(path.clone());
            }
            let due = match self.sockets.get(&path) {
                None => true,
                Some(Known { state: State::Waiting(then), .. }) => *then <= now,
                Some(_) => false,
            };
            if due {
                self.attach(Socket { path, id });
            }
        }
        Ok(())
    }

    /// Reports that the folder cannot be read. Its sockets may be there.
    async fn not_listed(&mut self, source: io::Error) -> Result<(), Closed> {
        if self.unreadable.replace(source.kind()) == Some(source.kind()) {
            return Ok(());
        }
        self.send(FolderEvent::Unreadable(FolderError::Unreadable { dir: self.dir.clone(), source })).await
    }

    /// Forgets the sockets that were removed or replaced.
    async fn forget_what_is_missing(
        &mut self,
        found: &BTreeMap<PathBuf, SocketFileId>,
    ) -> Result<(), Closed> {
        let is_missing = |(path, known): &(&PathBuf, &Known)| found.get(*path) != Some(&known.id);
        let missing: Vec<_> = self.sockets.iter().filter(is_missing).map(|(path, _)| path.clone()).collect();
        for path in missing {
            self.is_reported(&path);
            let Some(known) = self.sockets.remove(&path) else { continue };
            match known.state {
                State::Attaching(attaching) => attaching.abort(),
                State::Attached => {
                    let reason = match found.contains_key(&path) {
                        true => GoneReason::SocketReplaced,
                        false => GoneReason::SocketRemoved,
                    };
                    self.send(FolderEvent::Gone { name: name(&path), path, reason }).await?;
                }
                State::Waiting(_) | State::Left => {}
            }
        }
        Ok(())
    }

    /// Begins to attach to the plugin of a socket.
    fn attach(&mut self, socket: Socket) {
        let known = self.sockets.entry(socket.path.clone()).or_insert_with(|| Known {
            id: socket.id,
            state: State::Left,
            reported: None,
            failures: 0,
        });
        let attachment = SocketPath::new(&socket.path).map_err(FolderError::Address).map(|path| {
            let config = ReattachConfig { version: None, endpoint: path.into(), pid: None, test: true };
            let mut attachment = Attachment::from(config).name(name(&socket.path));
            attachment.leaves_socket = true;
            (self.prepare)(&socket.path, attachment)
        });
        let attachment = match attachment {
            Ok(Some(attachment)) => Ok(attachment),
            Ok(None) => {
                known.state = State::Left;
                return self.is_reported(&socket.path);
            }
            Err(error) => Err(error),
        };
        let (host, slots) = (self.host.clone(), Arc::clone(&self.slots));
        let attaching = self.attaching.spawn(async move {
            let attached = match attachment {
                Ok(attachment) => {
                    // The semaphore is never closed.
                    let _slot = slots.acquire_owned().await;
                    Box::pin(attach(&host, &socket.path, attachment)).await
                }
                Err(error) => Err(error),
            };
            (socket, attached)
        });
        known.state = State::Attaching(attaching);
    }

    /// Notes the result of an attachment.
    async fn attached(
        &mut self,
        socket: Socket,
        attached: Result<Box<FolderPlugin>, FolderError>,
    ) -> Result<(), Closed> {
        // The socket may have been replaced meanwhile. The plugin is then dropped, which leaves it running.
        let Some(known) = self.sockets.get_mut(&socket.path).filter(|known| known.id == socket.id) else {
            return Ok(());
        };
        match attached {
            Ok(plugin) => {
                (known.state, known.reported, known.failures) = (State::Attached, None, 0);
                let exit = plugin.plugin.exit();
                self.is_reported(&socket.path);
                self.exits.spawn(async move { (socket, exit.watched().await) });
                self.send(FolderEvent::Added(plugin)).await
            }
            Err(error) => {
                let pause = PAUSES.pause(known.failures);
                known.failures = known.failures.saturating_add(1);
                known.state = match error.may_pass() || error.is_vanished() {
                    true => State::Waiting(Instant::now() + pause),
                    false => State::Left,
                };
                // Between the making of a socket and the call that listens on it there is a moment.
                let may_listen_soon = known.failures == 1 && matches!(error, FolderError::NoListener { .. });
                if may_listen_soon || error.is_vanished() {
                    return Ok(());
                }
                let code = error.code_text();
                let is_new = known.reported.as_ref() != Some(&code);
                known.reported = Some(code);
                self.is_reported(&socket.path);
                if !is_new {
                    return Ok(());
                }
                let Socket { path, .. } = socket;
                self.send(FolderEvent::Failed { name: name(&path), path, error }).await
            }
        }
    }

    /// Reports the exit of a plugin. Its socket may have another listener, such as a service manager that starts it again.
    async fn exited(&mut self, socket: &Socket, reason: ExitReason) -> Result<(), Closed> {
        let known = self.sockets.get_mut(&socket.path).filter(|known| known.id == socket.id);
        let Some(known) = known.filter(|known| matches!(known.state, State::Attached)) else { return Ok(()) };
        known.state = State::Waiting(Instant::now() + PAUSES.pause(0));
        let (name, path) = (name(&socket.path), socket.path.clone());
        self.send(FolderEvent::Gone { name, path, reason: GoneReason::Exited(reason) }).await
    }

    /// Notes that a socket of the first listing was reported, or does not have to be.
    fn is_reported(&mut self, path: &Path) {
        if let Some(awaited) = &mut self.awaited {
            awaited.remove(path);
        }
    }

    /// Reports once that every socket of the first listing was reported.
    async fn report_up_to_date(&mut self) -> Result<(), Closed> {
        match &self.awaited {
            Some(awaited) if awaited.is_empty() => {
                self.awaited = None;
                self.send(FolderEvent::UpToDate).await
            }
            _ => Ok(()),
        }
    }

    async fn send(&self, event: FolderEvent) -> Result<(), Closed> {
        self.events.send(event).await.map_err(|_| Closed)
    }
}

/// Attaches to a plugin, and asks for its health and its services.
async fn attach(host: &Host, path: &Path, attachment: Attachment) -> Result<Box<FolderPlugin>, FolderError> {
    let plugin = host.attach(attachment).await.map_err(|error| FolderError::of(path.to_owned(), error))?;
    let limit = host.config.admin_timeout;
    let health = async {
        match host.config.health_check {
            true => health_of_any_server(plugin.channel(), limit).await,
            false => None,
        }
    };
    let (health, services) = tokio::join!(health, reflection::services(plugin.channel(), limit));
    if let Some(status @ (ServingStatus::NotServing | ServingStatus::Unknown)) = health {
        return Err(not_healthy(&plugin, status).into());
    }
    Ok(Box::new(FolderPlugin { name: name(path), path: path.to_owned(), plugin, health, services }))
}

/// The error for a server that has no status of the name `plugin` and reports that it does not serve.
fn not_healthy(plugin: &Plugin, status: ServingStatus) -> AttachError {
    let endpoint = plugin.endpoint().clone();
    AttachError::Refused { endpoint, source: ConnectFault::NotHealthy(status).into() }
}

/// The name of a plugin: that of its file without the extension.
fn name(path: &Path) -> String {
    path.file_stem().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

fn is_hidden(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
}

/// The interval at which the folder is listed.
const LISTING_INTERVAL: Duration = Duration::from_millis(500);

/// The pauses between attachments to a socket that fail.
const PAUSES: Backoff = Backoff { initial: LISTING_INTERVAL, multiplier: 2.0, max: Duration::from_secs(10) };

/// The attachments at once. A socket that accepts and does not answer takes one until the launch timeout.
const AT_ONCE: usize = 32;
