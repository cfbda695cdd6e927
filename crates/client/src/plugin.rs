//! A plugin that runs and is connected.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use rpcplugin_broker::Broker;
use rpcplugin_config::{ByteSize, HostConfig};
use rpcplugin_core::{AppVersion, Endpoint};
use rpcplugin_handshake::{HandshakeLine, ReattachConfig};
use rpcplugin_mtls::PeerCertificate;
use rpcplugin_proto::{Empty, GrpcControllerClient};
use rpcplugin_transport::{
    ConnectionTraffic, Meter, Security, SocketDir, Traffic,
    http2::{PluginChannel, is_broken_connection},
};
use rustix::process::Signal;
use tokio::{
    io::AsyncWrite,
    time::{sleep, timeout},
};
use tonic::{Code, Status, transport::Channel};
use tonic_health::{
    ServingStatus,
    pb::{HealthCheckRequest, health_check_response::ServingStatus as Wire, health_client::HealthClient},
};
use tower_layer::Layer;
use tracing::{Instrument as _, Span};

use crate::{
    attach::{Handover, NotHandedOver},
    ended::{Ending, LAST_WORDS},
    error::PingError,
    events::{Event, Events},
    exit::{Exit, ExitReason},
    feed::Feed,
    identity::PluginId,
    output::{Output, OutputOptions},
    process::{Process, ProcessEnd},
    services::Services,
    steps::LaunchTimings,
    tail::Tail,
};

/// A plugin that runs and is connected.
///
/// Dropping it kills the plugin, unless it was [attached to](crate::Host::attach);
/// [`shut_down`](Self::shut_down) ends it politely. Channels that were taken from it
/// fail from then on. What it had printed before is still read, for as long as [`HostConfig::drain`] allows.
pub struct Plugin {
    process: Process,
    stdin: Option<Box<dyn AsyncWrite + Send + Sync + Unpin>>,
    channel: PluginChannel,
    /// The same; its calls say how the process ended, if that is why they fail.
    explained: PluginChannel,
    /// What it is that they say.
    ending: Arc<Ending>,
    broker: Broker,
    feed: Arc<Feed>,
    tail: Arc<Tail>,
    version: AppVersion,
    endpoint: Endpoint,
    security: Security,
    launch_time: Duration,
    steps: LaunchTimings,
    answer: Option<HandshakeLine>,
    certificate: Option<PeerCertificate>,
    config: HostConfig,
    services: Services,
    /// Removed with everything in it when the plugin is gone.
    sockets: SocketDir,
    /// Whether it is somebody else's, who will end it.
    test: bool,
    /// Whether it goes on without this host.
    left: bool,
    meter: Meter,
    /// The span of its life.
    life: Span,
}

/// What a plugin is made of.
pub(crate) struct Parts {
    pub(crate) process: Process,
    pub(crate) stdin: Option<Box<dyn AsyncWrite + Send + Sync + Unpin>>,
    pub(crate) channel: PluginChannel,
    pub(crate) broker: Broker,
    pub(crate) feed: Arc<Feed>,
    pub(crate) tail: Arc<Tail>,
    pub(crate) version: AppVersion,
    pub(crate) endpoint: Endpoint,
    pub(crate) security: Security,
    pub(crate) launch_time: Duration,
    pub(crate) steps: LaunchTimings,
    pub(crate) answer: Option<HandshakeLine>,
    pub(crate) certificate: Option<PeerCertificate>,
    pub(crate) config: HostConfig,
    pub(crate) services: Services,
    pub(crate) sockets: SocketDir,
    pub(crate) meter: Meter,
    pub(crate) life: Span,
    pub(crate) test: bool,
}

impl Plugin {
    pub(crate) fn new(parts: Parts) -> Self {
        let Parts {
            process,
            stdin,
            channel,
            broker,
            feed,
            tail,
            version,
            endpoint,
            security,
            launch_time,
            steps,
            answer,
            certificate,
            config,
            services,
            sockets,
            meter,
            life,
            test,
        } = parts;
        process.no_more_readers();
        let ending = Arc::new(Ending::new(feed.id(), process.exits(), process.finishes(), Arc::clone(&tail)));
        let explained = channel.clone().explained(Arc::clone(&ending) as _);
        Self {
            process,
            stdin,
            channel,
            explained,
            ending,
            broker,
            feed,
            tail,
            version,
            endpoint,
            security,
            launch_time,
            steps,
            answer,
            certificate,
            config,
            services,
            sockets,
            meter,
            life,
            test,
            left: false,
        }
    }

    /// The channel for generated clients: `KvClient::new(plugin.channel())`. Cheap to clone.
    ///
    /// A call that breaks off because the plugin's process has ended says how it ended and what it last wrote, as
    /// [`explain`](Self::explain) describes it; for that it waits up to a second for the process to be seen dead, and as long for
    /// its last lines. What else a failed call says is [`PluginChannel`]'s.
    ///
    /// A generated client refuses answers above 4 MiB unless `max_decoding_message_size` raises that limit.
    #[must_use]
    pub fn channel(&self) -> PluginChannel {
        self.explained.clone()
    }

    /// tonic's own channel to the plugin, for what takes no other. It opens a connection of its own with its first call, and
    /// its calls do not say how the process ended; [`explain`](Self::explain) does for each.
    ///
    /// A client upon it panics at a status whose details are no base64, and has HTTP/2 errors as UNKNOWN unless tonic is built
    /// with its feature `server`: see [`PluginChannel::tonic_channel`].
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    #[must_use]
    pub fn tonic_channel(&self) -> Channel {
        self.channel.tonic_channel()
    }

    /// The channel with a [tower layer](tower_layer::Layer) around it, for generated clients as
    /// [`channel`](Self::channel) is.
    ///
    /// tonic's own interceptors need nothing but the channel: `KvClient::with_interceptor(plugin.channel(), add_token)`.
    /// Both work in the same way on the channels that [`Broker::dial`] returns.
    ///
    /// ```no_run
    /// # use rpcplugin_client::Plugin;
    /// # use tower_layer::Layer;
    /// # fn example(plugin: &Plugin, time_limit: impl Layer<rpcplugin_transport::http2::PluginChannel>) {
    /// let limited = plugin.channel_with(&time_limit);
    /// # }
    /// ```
    #[must_use]
    pub fn channel_with<L: Layer<PluginChannel>>(&self, layer: &L) -> L::Service {
        layer.layer(self.channel())
    }

    /// The largest messages, in bytes, that the host's configuration allows: received, and sent.
    ///
    /// The first holds on every channel of this crate by itself: a longer answer fails its call with RESOURCE_EXHAUSTED. For the
    /// second a client has to be told: `client.max_encoding_message_size(sent)`. Clients generated by `rpcplugin-build` have no
    /// limit of their own, others accept 4 MiB.
    #[must_use]
    pub fn message_limits(&self) -> (usize, usize) {
        let limit = |size: Option<ByteSize>| size.map_or(usize::MAX, ByteSize::as_usize);
        (limit(self.config.max_receive_message_size), limit(self.config.max_send_message_size))
    }

    /// Where the plugin is, for another host to [attach](crate::Host::attach) to: the part of a
    /// [handover](Self::hand_over) that holds no secret. A plugin under AutoMTLS accepts no host without the secret part.
    #[must_use]
    pub fn reattach_config(&self) -> ReattachConfig {
        ReattachConfig {
            version: self.version,
            endpoint: self.endpoint.clone(),
            pid: self.process.pid(),
            test: self.test,
        }
    }

    /// What another host needs to attach to the plugin beside this one, which keeps it and ends it. It holds this host's
    /// private key where the connection is secured by AutoMTLS.
    #[must_use]
    pub fn handover(&self) -> Handover {
        Handover::new(self.reattach_config(), &self.security, None)
    }

    /// Lets go of the plugin, which runs on, and returns what another host needs to go on with it: the next version of
    /// this program, for one.
    ///
    /// The plugin has to be launched without [`HostConfig::die_with_host`], and has to bear that nobody reads its output
    /// any more once this host is gone: many programs end when they write then. One made with rpcplugin ends with this host
    /// unless it loads its configuration from the environment, or sets `exit_with_host` by itself. One that multiplexes ends
    /// with its only connection. If the other host does not come, nobody ends the plugin. The directory of its socket stays
    /// as long as it runs; the host that attaches removes it, or the next that finds the plugin gone.
    ///
    /// # Errors
    /// [`NotHandedOver`], which holds the plugin, if this host launched it with `die_with_host`: it would end together with
    /// this host. Nothing has changed then.
    ///
    /// # Cancel safety
    /// A future that is dropped after it was polled may have let go of the plugin.
    pub async fn hand_over(mut self) -> Result<Handover, NotHandedOver> {
        if self.process.ends_with_its_handle() && self.config.die_with_host {
            return Err(NotHandedOver::new(self));
        }
        self.broker.close();
        self.services.cut();
        // The readers hold the pipes of a child that goes on: they stay open for as long as this host lives.
        self.process.leave().await;
        // The same holds for the directory of its socket.
        let dir = self.sockets.path().to_owned();
        let used = matches!(&self.endpoint, Endpoint::Unix(path) if path.as_path().starts_with(&dir));
        let handover = Handover::new(self.reattach_config(), &self.security, used.then_some(dir));
        if used {
            self.sockets.keep();
        }
        self.left = true;
        Ok(handover)
    }

    /// Side connections with the plugin.
    #[must_use]
    pub fn broker(&self) -> &Broker {
        &self.broker
    }

    /// The version of the application's protocol that was agreed upon.
    #[must_use]
    pub fn version(&self) -> AppVersion {
        self.version
    }

    /// The plugin's process. 0 for a plugin whose runner started it where this host sees no processes, and for one that
    /// was attached to without knowing its process; [`id`](Self::id) says so in its type.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.pid().unwrap_or_default()
    }

    /// The writing end of the plugin's standard input, once, if it was [asked for](crate::Stdin::Piped). The plugin reads
    /// its end when this is dropped, at the latest together with the plugin.
    pub fn take_stdin(&mut self) -> Option<impl AsyncWrite + Send + Sync + Unpin + use<>> {
        self.stdin.take()
    }

    /// The name by which logs call the plugin.
    #[must_use]
    pub fn name(&self) -> &str {
        self.feed.name()
    }

    /// Which plugin this is, and which process.
    #[must_use]
    pub fn id(&self) -> PluginId {
        self.feed.id()
    }

    /// Where the plugin listens.
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// How the connection is secured.
    #[must_use]
    pub fn security(&self) -> &Security {
        &self.security
    }

    /// How long it took from the start of the launch until the plugin was ready.
    #[must_use]
    pub fn launch_time(&self) -> Duration {
        self.launch_time
    }

    /// How long each step of that took.
    #[must_use]
    pub fn launch_steps(&self) -> LaunchTimings {
        self.steps
    }

    /// What the plugin said in its handshake line. None for one that was attached to.
    #[must_use]
    pub fn answer(&self) -> Option<&HandshakeLine> {
        self.answer.as_ref()
    }

    /// The certificate that the plugin presented when it was connected to. None over a connection that is not secured.
    #[must_use]
    pub fn certificate(&self) -> Option<&PeerCertificate> {
        self.certificate.as_ref()
    }

    /// Whether the plugin forwards what its code prints. True until it has said that it does not, which it does about
    /// when it answers the first call, and through connections that break as long as its process runs; false when it
    /// has ended.
    #[must_use]
    pub fn forwards_output(&self) -> bool {
        self.services.forwards_output()
    }

    /// Whether the plugin serves a broker, in the same sense. That of a Go plugin is closed for good once the connection
    /// broke, which shows when something is to be sent to it.
    #[must_use]
    pub fn serves_broker(&self) -> bool {
        self.services.serves_broker()
    }

    /// The events of this plugin. The first caller gets those since its start, others those from now on.
    #[must_use]
    pub fn events(&self) -> Events {
        self.feed.topics().events()
    }

    /// What this plugin prints. The first caller also gets the last 64 KiB of what it printed through the connection
    /// since its start, others what it prints from now on.
    #[must_use]
    pub fn output(&self, options: OutputOptions) -> Output {
        self.feed.topics().output(options)
    }

    /// The last lines that the plugin wrote on its stderr, as many as
    /// [`HostConfig::stderr_tail_lines`] and [`HostConfig::stderr_tail_bytes`] allow. Lines of more than 1 KiB are
    /// shortened, and control characters replaced.
    #[must_use]
    pub fn stderr_tail(&self) -> Vec<String> {
        self.tail.lines()
    }

    /// What has gone over all connections with the plugin since it was launched, at this moment.
    #[must_use]
    pub fn traffic(&self) -> Traffic {
        self.meter.traffic()
    }

    /// What has gone over each connection with the plugin that is open, the main one and those of the broker.
    #[must_use]
    pub fn connections(&self) -> Vec<ConnectionTraffic> {
        self.meter.connections()
    }

    /// How the plugin ended, if it has. The last that it printed may still be on its way.
    #[must_use]
    pub fn ended(&self) -> Option<ExitReason> {
        self.process.ended()
    }

    /// Resolves when the plugin's process has ended and what it printed has been read and told. Something that it left
    /// behind may hold its pipes open: it is waited for no longer than [`HostConfig::drain`] after the end.
    ///
    /// # Cancel safety
    /// May be dropped and awaited again.
    pub async fn wait(&self) -> ExitReason {
        self.process.finished().await
    }

    /// The end of the process for those who do not hold the plugin.
    pub(crate) fn exits(&self) -> ProcessEnd {
        self.process.exits()
    }

    /// Resolves when the plugin's process has ended, whether or not its last words have been read.
    pub(crate) async fn process_end(&self) -> ExitReason {
        self.process.end().await
    }

    /// Says of a failed call that the plugin's process has ended, and how, if that is why it failed.
    ///
    /// A status that tells of a broken connection becomes UNAVAILABLE with a message such as "the plugin kv-plugin
    /// (process 4711) has ended: signal 11", with [`PluginExited`](crate::PluginExited), which has the plugin's last lines, as its
    /// [source](std::error::Error::source), and with an `ErrorInfo` as its details. Waits up to a second for the process to be
    /// seen dead, and up to another for its last lines to be read. Every other status stays as it is.
    ///
    /// # Cancel safety
    /// May be dropped at any time.
    pub async fn explain(&self, status: Status) -> Status {
        if !is_broken_connection(&status) {
            return status;
        }
        self.ending.explained(status).await
    }

    /// Asks the plugin for its health, within [`HostConfig::admin_timeout`].
    ///
    /// # Errors
    /// As [`ping_within`](Self::ping_within).
    ///
    /// # Cancel safety
    /// Dropping the future cancels the call.
    pub async fn ping(&self) -> Result<ServingStatus, PingError> {
        self.ping_within(self.config.admin_timeout).await
    }

    /// Asks the plugin for its health, within this deadline.
    ///
    /// # Errors
    /// [`PingError::Ended`] when its process is over, [`PingError::Late`] when no answer came in time,
    /// [`PingError::Failed`] when the answer is an error, such as that of a plugin without a health service.
    ///
    /// # Cancel safety
    /// Dropping the future cancels the call.
    pub async fn ping_within(&self, deadline: Duration) -> Result<ServingStatus, PingError> {
        let request = HealthCheckRequest { service: "plugin".to_owned() };
        let mut client = HealthClient::new(self.channel.clone());
        let status = match timeout(deadline, client.check(request)).await {
            Ok(Ok(answer)) => {
                return Ok(match answer.get_ref().status() {
                    Wire::Serving => ServingStatus::Serving,
                    Wire::NotServing => ServingStatus::NotServing,
                    _ => ServingStatus::Unknown,
                });
            }
            Ok(Err(status)) => Some(status),
            Err(_) => None,
        };
        let broken = status.as_ref().is_some_and(is_broken_connection);
        let patience = if broken { LAST_WORDS } else { Duration::ZERO };
        Err(match (timeout(patience, self.process.end()).await, status) {
            (Ok(reason), _) => PingError::Ended(reason),
            (Err(_), Some(status)) => PingError::Failed(status),
            (Err(_), None) => PingError::Late(deadline),
        })
    }

    /// Ends the plugin: asks it to shut down, waits for [`HostConfig::grace`], and kills it with its process group if
    /// it has not ended then. [`HostConfig::terminate_after`] puts a SIGTERM between; a plugin that does not know the
    /// call is sent one at once.
    ///
    /// A plugin in test mode is left alone: [`Exit::Detached`].
    ///
    /// Returns how it ended, and [`Exit::StillRunning`] if it could not be killed. Takes no longer than the grace period
    /// and three times [`HostConfig::drain`], whatever the plugin does or leaves behind, and five seconds more should the
    /// system not let go of it.
    ///
    /// # Cancel safety
    /// Dropping the future kills the plugin.
    pub async fn shut_down(self) -> Exit {
        let grace = self.config.grace;
        self.shut_down_within(grace).await
    }

    /// As [`shut_down`](Self::shut_down), but with this grace period.
    ///
    /// # Protocol
    /// go-plugin `client.go` `Kill`: the broker, then the call, whose outcome says nothing because a Go plugin cuts
    /// the connection in place of an answer, then the wait. Differs: every step has a deadline, and the whole process
    /// group is killed.
    pub async fn shut_down_within(self, grace: Duration) -> Exit {
        let life = self.life.clone();
        let span = tracing::debug_span!(parent: &life, "shutdown", elapsed = tracing::field::Empty);
        let begun = Instant::now();
        // Boxed, because hosts do this from within large futures of their own.
        let exit = Box::pin(self.end_within(grace)).instrument(span.clone()).instrument(life).await;
        span.record("elapsed", tracing::field::debug(begun.elapsed()));
        exit
    }

    async fn end_within(mut self, grace: Duration) -> Exit {
        let begun = Instant::now();
        self.services.let_end();
        if self.test {
            self.broker.close();
            return Exit::Detached;
        }
        // The plugin may have ended the connection. Multiplexed, a broker that is closed opens no other.
        let connecting = timeout(self.config.shutdown_timeout.min(grace), self.channel.connect());
        tokio::select! {
            _ = connecting => {}
            _ = self.process.end() => {}
        }
        self.broker.close();
        let left = grace.saturating_sub(begun.elapsed());
        let exit = match timeout(left, self.end_in_stages(left)).await {
            Ok((reason, sent)) => Exit::after_asking(reason, sent, begun.elapsed()),
            Err(_) => {
                tracing::warn!(parent: None, plugin = &*self.id().name, "the plugin ignored the shutdown; killing it");
                self.kill_after(begun).await
            }
        };
        self.drain().await;
        self.remove_sockets(exit);
        tracing::info!(parent: None, plugin = &*self.id().name, %exit, "plugin stopped");
        exit
    }

    /// Removes the directory of a plugin that has ended. Tasks of the broker that end a moment later hold it too.
    fn remove_sockets(&self, exit: Exit) {
        if exit != Exit::StillRunning {
            self.sockets.remove();
        }
    }

    /// Kills the plugin that was to end since `begun`, and waits for its end.
    async fn kill_after(&self, begun: Instant) -> Exit {
        self.process.kill();
        let sent = self.process.reached_by(Signal::KILL);
        // However little the pipes are worth, a process takes a moment to be seen dead.
        let patience = self.config.drain_timeout.max(sent.map_or(Duration::ZERO, |_| DYING));
        match timeout(patience, self.process.end()).await {
            Ok(reason) => Exit::after_asking(reason, sent, begun.elapsed()),
            // The system may keep a process that waits for a device beyond SIGKILL.
            Err(_) => Exit::StillRunning,
        }
    }

    /// Tells those who follow the plugin.
    pub(crate) fn tell(&self, event: Event) {
        self.feed.event(event);
    }

    /// Waits until what is left in the plugin's pipes and streams has been read, and until the tasks of the plugin have ended,
    /// so that its span ends with it. Bounded: a process that the plugin left behind may hold the pipes open.
    async fn drain(&mut self) {
        let drain = self.config.drain_timeout;
        let _ = tokio::join!(
            timeout(drain, self.services.broker_ended()),
            timeout(drain, self.broker.drained()),
            // They are given up by then; longer, so that the end is told before this returns.
            timeout(2 * drain, self.process.finished()),
        );
    }

    /// Kills the plugin at once, with its process group, and waits for its end, but no longer than
    /// [`HostConfig::drain`] or five seconds, whichever is more. A plugin in test mode is left alone: [`Exit::Detached`].
    ///
    /// Returns how it ended; [`Exit::StillRunning`] if it could not be killed, or has not ended yet.
    ///
    /// # Cancel safety
    /// The plugin is killed even if the future is dropped.
    pub async fn kill(mut self) -> Exit {
        self.services.let_end();
        self.broker.close();
        if self.test {
            return Exit::Detached;
        }
        let exit = self.kill_after(Instant::now()).await;
        self.drain().await;
        self.remove_sockets(exit);
        exit
    }

    /// Asks the plugin to end and waits until it has, with SIGTERM on the way where that is configured, or is the only
    /// way to ask. Tells of the signal if it was sent.
    async fn end_in_stages(&self, grace: Duration) -> (ExitReason, Option<Signal>) {
        let mut controller = GrpcControllerClient::new(self.channel.clone());
        let asking = timeout(self.config.shutdown_timeout.min(grace), controller.shutdown(Empty {}));
        let not_understood = async {
            match asking.await {
                Ok(Err(status)) if status.code() == Code::Unimplemented => {}
                _ => std::future::pending().await,
            }
        };
        let patience = async {
            match self.config.terminate_after {
                Some(patience) => sleep(patience).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            reason = self.process.end() => return (reason, None),
            () = not_understood => tracing::debug!(plugin = %self.id(), "the plugin has no controller"),
            () = patience => {}
        }
        self.process.terminate();
        (self.process.end().await, self.process.reached_by(Signal::TERM))
    }
}

impl Drop for Plugin {
    fn drop(&mut self) {
        self.broker.close();
        if self.left || !self.process.ends_with_its_handle() {
            return;
        }
        // Its socket goes when the process has ended.
        self.process.kill();
    }
}

impl fmt::Debug for Plugin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plugin")
            .field("name", &self.name())
            .field("pid", &self.pid())
            .field("version", &self.version)
            .field("endpoint", &self.endpoint)
            .finish_non_exhaustive()
    }
}

/// How long a process that was killed is given to be seen dead, at the least. Most are at once; a busy machine takes its
/// time, and one that waits for a device may stay.
const DYING: Duration = Duration::from_secs(5);
