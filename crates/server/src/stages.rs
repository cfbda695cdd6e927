//! The stages of a plugin's life: bound, announced, served.

use std::{
    fmt,
    io::Write,
    panic::AssertUnwindSafe,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::{FutureExt as _, future::join_all};
use rpcplugin_broker::{Broker, BrokerSettings, Role};
use rpcplugin_config::{ByteSize, PluginConfig};
use rpcplugin_core::{Endpoint, Versions};
use rpcplugin_handshake::{HandshakeLine, Multiplexing, Negotiated, ReceivedEnv, negotiate};
use rpcplugin_transport::{Meter, http2};
use tokio::{runtime::Handle, task::yield_now, time::timeout_at};
use tokio_util::task::AbortOnDropHandle;
use tracing::{Instrument as _, Span};

use crate::{
    context::{HostFacts, PluginContext},
    ending::{Cause, Ending},
    error::ServeError,
    health::Health,
    host_watch::{self, Parent},
    life,
    listening::{self, Listening},
    mux_listener::MuxListener,
    output::{Capture, Output, Tee},
    own_transport::AnyListener,
    rate_limit::RateLimit,
    readiness::Progress,
    security::{self, Decision},
    serve::{Hook, Serve},
    served, shutdown_file, signals,
    under_way::UnderWay,
};

/// A plugin that has agreed with its host and listens. No host can know of it yet.
#[must_use = "a bound plugin has to be announced"]
pub struct Bound {
    listener: AnyListener,
    answer: HandshakeLine,
    serving: http2::Serving,
    multiplex: bool,
    context: PluginContext,
    output: Arc<Output>,
    calls: UnderWay,
    hooks: Vec<Hook>,
    config: PluginConfig,
    progress: Progress,
    /// The span of the plugin's life.
    life: Span,
    /// Where signals, the host and the shutdown file are watched.
    watch: Handle,
    /// The directory that the host named for sockets.
    hosts_dir: Option<PathBuf>,
    /// The directory that this plugin made for them.
    private_dir: Option<PathBuf>,
    /// What ends the plugin from outside.
    watchers: Vec<AbortOnDropHandle<()>>,
    /// The host that started the plugin, if it follows that.
    parent: Option<Parent>,
}

/// How a plugin was started.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Starter {
    /// By a host, as its child.
    Host,
    /// By hand, for hosts that attach.
    Hand,
}

/// A plugin whose handshake line has been printed.
#[must_use = "an announced plugin has to serve"]
pub struct Announced {
    bound: Bound,
    watchers: Vec<AbortOnDropHandle<()>>,
    parent: Option<Parent>,
}

/// A plugin that has served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Served {
    /// Why it ended.
    pub cause: Cause,
}

impl Bound {
    pub(crate) async fn new(serve: Serve, offer: &ReceivedEnv, starter: Starter) -> Result<Self, ServeError> {
        let life = life::span();
        let span = tracing::debug_span!(parent: &life, "launch");
        Self::bind(serve, offer, starter, life.clone()).instrument(span).instrument(life).await
    }

    async fn bind(
        serve: Serve,
        offer: &ReceivedEnv,
        starter: Starter,
        life: Span,
    ) -> Result<Self, ServeError> {
        let watch = serve.watch.unwrap_or_else(Handle::current);
        // Before anything that takes time: the parent of later may be whoever took in an orphan.
        let parent = {
            let _watch = watch.enter();
            (starter == Starter::Host && serve.config.exit_with_host).then(Parent::of_this_process)
        };
        let Serve {
            mut versions,
            descriptors,
            config,
            config_error,
            hooks,
            shutdown,
            transport,
            progress,
            layers,
            on_start,
            ..
        } = serve;
        if let Some(error) = config_error {
            return Err(error.into());
        }
        config.check()?;
        for fault in &offer.faults {
            tracing::warn!(%fault, "a part of the host's offer is passed over");
        }
        let served = Versions::new(versions.keys().copied())?;
        let served = supported(&served, &config)?;
        let negotiated = negotiate(offer.versions.as_ref(), &served);
        let ending = Ending::new(shutdown);
        let mut watchers = Vec::new();
        if starter == Starter::Host {
            // Before there is a socket to leave behind, and before anything of the application's, which may take its time.
            let _watch = watch.enter();
            let signals = signals::watch(&ending, config.ignore_sigint).map_err(ServeError::Process)?;
            watchers.push(spawn(&watch, signals, &life));
        }
        let Decision { security, announced } = security::decide(&config, offer)?;
        let listening = listening::listen(&config, offer, transport, security.is_mutual()).await?;
        let private_dir = listening.private_dir(offer);
        let Listening { listener, endpoint, place } = listening;

        let mut settings = BrokerSettings::new(security.clone());
        let meter = Meter::new();
        settings.http2 = http2_settings(&config);
        settings.http2.meter = Some(meter.brokered());
        settings.peer_timeout = config.broker_timeout;
        settings.grace = config.grace;
        settings.span = life.clone();
        settings.layers = layers.clone();
        let broker = if offer.multiplex {
            Broker::multiplexed(Role::Plugin, settings)
        } else {
            Broker::direct(Role::Plugin, settings, place)
        };
        let context = PluginContext {
            version: negotiated.version,
            broker,
            health: Health::new(),
            ending: ending.clone(),
            host: HostFacts {
                offered_version: negotiated.offered,
                mutual_tls: security.is_mutual(),
                multiplexed: offer.multiplex,
            },
            rate_limit: config.rate_limit.as_ref().map(RateLimit::new),
            meter: meter.clone(),
        };
        on_start.into_iter().for_each(|start| start(&context));
        let make = versions.remove(&negotiated.version).expect("a version is chosen among those served");
        let output = Output::new(config.output_buffer.as_usize(), config.output_timeout);
        let calls = UnderWay::default();
        let own = make(&context);
        let services = served::services(own, &context, &config, descriptors, &output, &layers, &calls);
        life.record("plugin.version", negotiated.version.0)
            .record("endpoint", tracing::field::display(&endpoint));
        log_agreement(&negotiated, &endpoint, offer.versions.as_ref(), &served);

        let mut serving = http2::Serving::new(services, security, ending.token());
        serving.settings = http2_settings(&config);
        serving.settings.meter = Some(meter);
        serving.grace = config.grace.saturating_add(ENDING);
        let answer = HandshakeLine {
            version: negotiated.version,
            endpoint,
            certificate: announced,
            multiplexing: if offer.multiplex { Multiplexing::Yes } else { Multiplexing::NotSaid },
        };
        let hosts_dir = offer.socket_dir.clone();
        let multiplex = offer.multiplex;
        Ok(Self {
            listener,
            answer,
            serving,
            multiplex,
            context,
            output,
            calls,
            hooks,
            config,
            progress,
            life,
            watch,
            hosts_dir,
            private_dir,
            watchers,
            parent,
        })
    }

    /// What the host will be answered.
    #[must_use]
    pub fn answer(&self) -> &HandshakeLine {
        &self.answer
    }

    /// Prints the handshake line and flushes it.
    ///
    /// A host that has died since [`Serve::bind`] began is noticed by the write that fails, or, where others hold the pipe
    /// too, once the plugin serves.
    ///
    /// # Errors
    /// [`ServeError::Announce`] when the line cannot be written.
    pub fn announce(mut self, to: &mut impl Write) -> Result<Announced, ServeError> {
        let life = self.life.clone();
        let _life = life.enter();
        let _greet = tracing::debug_span!("greet", endpoint = %self.answer.endpoint).entered();
        let (mut watchers, parent) = (std::mem::take(&mut self.watchers), self.parent.take());
        watchers.extend(self.watch_shutdown_file());
        // One write: a host that reads byte by byte must not see half a line and then the end of a dead process.
        to.write_all(format!("{}\n", self.answer).as_bytes())
            .and_then(|()| to.flush())
            .map_err(ServeError::Announce)?;
        Ok(Announced { bound: self, watchers, parent })
    }

    pub(crate) fn output(&self) -> &Arc<Output> {
        &self.output
    }

    pub(crate) fn watch_shutdown_file(&self) -> Option<AbortOnDropHandle<()>> {
        let file = self.config.shutdown_file.clone()?;
        Some(self.spawn(shutdown_file::watch(file, self.context.ending.clone())))
    }

    fn spawn(&self, watcher: impl Future<Output = ()> + Send + 'static) -> AbortOnDropHandle<()> {
        spawn(&self.watch, watcher, &self.life)
    }

    /// Serves and drains.
    pub(crate) async fn serve(self, capture: Option<Capture>) -> Served {
        let life = self.life.clone();
        self.serve_and_drain(capture).instrument(life).await
    }

    async fn serve_and_drain(self, mut capture: Option<Capture>) -> Served {
        let Self {
            listener,
            serving,
            multiplex,
            context,
            output,
            calls,
            hooks,
            config,
            progress,
            hosts_dir,
            private_dir,
            answer: _,
            life,
            watch: _,
            watchers: _,
            parent: _,
        } = self;
        let ending = context.ending.clone();
        progress.serving();
        let serving = async {
            if multiplex {
                http2::serve(MuxListener::new(listener, context.broker.clone()), serving).await;
            } else {
                http2::serve(listener, serving).await;
            }
            // Ends of itself only when the one connection of a multiplexing host is over.
            ending.begin(Cause::Disconnected);
        };
        let winding_down = async {
            let over = Instant::now() + config.grace;
            if let Some(capture) = &mut capture {
                capture.release_stdout();
            }
            context.health.end();
            // Calls that came before the one that asked for the end may not have begun yet.
            yield_now().await;
            let hooks = timeout_at(over.into(), run_hooks(hooks));
            let calls = async {
                if timeout_at(over.into(), calls.none()).await.is_err() {
                    calls.cut();
                }
            };
            let (hooks, ()) = tokio::join!(hooks, calls);
            if hooks.is_err() {
                tracing::warn!("a shutdown hook was still running after the grace period");
            }
            context.broker.close();
            // Only now has everybody printed what there is to print.
            if let Some(capture) = &mut capture {
                capture.finish(over.max(Instant::now() + LAST_OUTPUT)).await;
            }
            output.close();
        };
        let winding_down = async {
            ending.begun().await;
            winding_down.instrument(tracing::debug_span!(parent: &life, "shutdown")).await;
        };
        tokio::join!(serving, winding_down);
        context.broker.drained().await;
        if let Some(dir) = private_dir {
            // It goes with the last socket in it, unless a call that was cut still holds it.
            let _ = std::fs::remove_dir_all(dir);
        }
        let cause = ending.cause();
        if let Some(dir) = hosts_dir.filter(|_| cause == Cause::HostGone) {
            listening::remove_orphaned_dir(&dir).await;
        }
        Served { cause }
    }
}

/// A task on the runtime where watching is done, within the span of the plugin's life.
fn spawn(
    watch: &Handle,
    watcher: impl Future<Output = ()> + Send + 'static,
    life: &Span,
) -> AbortOnDropHandle<()> {
    AbortOnDropHandle::new(watch.spawn(watcher.instrument(life.clone())))
}

/// Runs all of them side by side. One that panics is logged by the panic hook, as everything that panics is, and is over:
/// it keeps neither the others nor the plugin from an orderly end.
async fn run_hooks(hooks: Vec<Hook>) {
    let hooks = join_all(hooks.into_iter().map(|hook| AssertUnwindSafe(hook).catch_unwind())).await;
    let panicked = hooks.iter().filter(|hook| hook.is_err()).count();
    if panicked > 0 {
        tracing::error!(panicked, "shutdown hooks panicked; the plugin goes on to end in order");
    }
}

impl Announced {
    /// Serves as the child of a host: until the host asks for the end or dies, a signal comes, or the plugin's own
    /// token fires; then drains. Output is captured meanwhile, and SIGINT swallowed.
    ///
    /// # Errors
    /// [`ServeError::Process`] when output cannot be captured.
    ///
    /// # Cancel safety
    /// Dropping the future ends the plugin rudely: calls are cut, and the socket is removed.
    pub async fn serve(self) -> Result<Served, ServeError> {
        let Self { bound, mut watchers, parent } = self;
        if let Some(parent) = parent {
            let watch = host_watch::watch(&bound.context.ending, parent).map_err(ServeError::Process)?;
            watchers.push(bound.spawn(watch));
        }
        let capture = if bound.config.capture_output {
            Some(Capture::start(Arc::clone(&bound.output), Tee::No).map_err(ServeError::Process)?)
        } else {
            None
        };
        let served = bound.serve(capture).await;
        drop(watchers);
        Ok(served)
    }
}

/// The versions that may be served, of those that the plugin has.
fn supported(has: &Versions, config: &PluginConfig) -> Result<Versions, ServeError> {
    let Some(allowed) = &config.supported_versions else { return Ok(has.clone()) };
    Versions::new(has.iter().filter(|version| allowed.contains(*version)))
        .map_err(|_| ServeError::NothingSupported { has: has.clone(), allowed: allowed.clone() })
}

fn http2_settings(config: &PluginConfig) -> http2::Settings {
    let mut settings = http2::Settings::default();
    settings.stream_window = config.http2.stream_window.as_u32();
    settings.connection_window = config.http2.connection_window.as_u32();
    settings.max_frame = config.http2.max_frame.as_u32();
    settings.max_headers = config.http2.max_headers.as_u32();
    settings.handshake_timeout = config.http2.handshake_timeout;
    settings.max_receive_message_size = config.max_receive_message_size.map(ByteSize::as_u64);
    settings.max_send_message_size = config.max_send_message_size.map(ByteSize::as_u64);
    settings
}

fn log_agreement(
    negotiated: &Negotiated,
    endpoint: &Endpoint,
    offered: Option<&Versions>,
    served: &Versions,
) {
    // The words and fields are those of Go's plugins, for hosts whose tests look for them.
    tracing::debug!(network = endpoint.network(), address = endpoint.address(), "plugin address");
    if let Some(offered) = offered.filter(|_| !negotiated.offered) {
        tracing::warn!(%offered, %served, "no version in common; answering with the oldest, which the host will refuse");
    }
}

impl fmt::Debug for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bound").field("answer", &self.answer).finish_non_exhaustive()
    }
}

impl fmt::Debug for Announced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Announced").field("answer", &self.bound.answer).finish_non_exhaustive()
    }
}

impl Served {
    /// Whether the plugin ended because it should, rather than because its host was gone.
    #[must_use]
    pub fn is_asked_for(self) -> bool {
        !matches!(self.cause, Cause::HostGone)
    }
}

/// How long the last of what the plugin printed may take to go out, where nothing of the grace is left for it.
const LAST_OUTPUT: Duration = Duration::from_millis(200);

/// How much longer than calls the connections last, on which hosts read what was printed last. Handlers that cannot be cut,
/// because they block, are left alone then.
const ENDING: Duration = Duration::from_millis(500);
