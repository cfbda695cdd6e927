//! The first step: agree with the host, and listen.

use std::{fmt, sync::Arc, time::Duration};

use rpcplugin_broker::{Broker, BrokerSettings, ListenAt, Role};
use rpcplugin_config::{ByteSize, PluginConfig};
use rpcplugin_core::{Endpoint, Versions};
use rpcplugin_handshake::{HandshakeLine, Multiplexing, Negotiated, ReceivedEnv, negotiate};
use rpcplugin_transport::{Dialer, Meter, Security, ServiceLayers, Services, http2};
use tokio::runtime::Handle;
use tracing::{Instrument as _, Span};

use super::drain::Drain;
use crate::{
    context::{HostFacts, PluginContext},
    error::ServeError,
    instances::InstanceSpans,
    layers::{self, InFlightCalls},
    listen::{AnyListener, Listening, SocketDirs, listen, listen_inherited, may_inherit},
    readiness::Progress,
    security::{self, Decision},
    serve::Serve,
    services::{BuiltIn, Health},
    shutdown::{OrphanTimeout, Shutdown, Triggers},
    span,
    stdio::CaptureBuffer,
};

/// A plugin that has agreed with its host and listens. No host knows of it yet.
#[must_use = "a bound plugin has to be announced"]
pub struct Bound {
    pub(super) listener: AnyListener,
    pub(super) socket_dirs: SocketDirs,
    pub(super) handshake_line: HandshakeLine,
    pub(super) serving: http2::Serving,
    pub(super) context: PluginContext,
    pub(super) drain: Drain,
    pub(super) config: PluginConfig,
    pub(super) progress: Progress,
    /// The span of the plugin's life.
    pub(super) span: Span,
    pub(super) triggers: Triggers,
    /// How long the plugin serves without a host, if that is limited.
    pub(super) orphan: Option<OrphanTimeout>,
}

/// How a plugin was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StartedBy {
    /// By a host, as its child.
    Host,
    /// In another way: by a person, for hosts that attach, or in the process of the host.
    Manually,
}

impl Serve {
    /// The first step: begins to catch signals, agrees with the host, and listens. No host knows of the plugin yet. The
    /// parent of this process is from now on the host whose exit ends the plugin.
    ///
    /// A signal during this step takes effect once the plugin serves, so that nothing is left behind.
    ///
    /// # Errors
    /// [`ServeError`].
    ///
    /// # Cancel safety
    /// Dropping the future leaves nothing behind.
    pub async fn bind(self, env: &ReceivedEnv) -> Result<Bound, ServeError> {
        Bound::new(self, env, StartedBy::Host).await
    }
}

impl Bound {
    pub(crate) async fn new(
        serve: Serve,
        env: &ReceivedEnv,
        started_by: StartedBy,
    ) -> Result<Self, ServeError> {
        let span = span::plugin();
        let launch = tracing::debug_span!(parent: &span, "launch");
        Self::bind(serve, env, started_by, span.clone()).instrument(launch).instrument(span).await
    }

    async fn bind(
        mut serve: Serve,
        env: &ReceivedEnv,
        started_by: StartedBy,
        span: Span,
    ) -> Result<Self, ServeError> {
        // Before anything that takes time: if the host exits, this process gets another parent.
        let mut triggers = triggers(&mut serve, started_by, &span);
        let versions = agree(&mut serve, env)?;
        if serve.instances.is_some() {
            serve.layers = ServiceLayers::new().layer(InstanceSpans).layers(&serve.layers);
        }
        if started_by == StartedBy::Host {
            // Before there is a socket to leave behind, and before the application's own code, which may take time.
            triggers.watch_signals(serve.config.ignore_sigint).map_err(ServeError::Process)?;
        }
        let (Decision { security, certificate }, listening) = secure_and_listen(&mut serve, env).await?;
        let socket_dirs = SocketDirs { host: env.socket_dir.clone(), private: listening.private_dir(env) };
        let Listening { listener, endpoint, listen_at } = listening;
        let orphan = env.orphan_timeout.map(OrphanTimeout::new);
        let http2 = http2_settings(&serve.config, orphan.as_ref(), serve.lane);
        let lane = serve.lane;
        let context = context(&serve, env, &versions.negotiated, &triggers, &security, &http2, listen_at);
        let multiplexing =
            if context.host.multiplexed { Multiplexing::Yes } else { Multiplexing::Unspecified };
        let drain = drain(&mut serve, &context);
        let serving = serving(&mut serve, security, http2, &context, &drain);
        span.record("plugin.version", context.version.0)
            .record("endpoint", tracing::field::display(&endpoint));
        versions.log(&endpoint, env);

        let handshake_line =
            HandshakeLine { version: context.version, endpoint, certificate, multiplexing, lane };
        let Serve { config, progress, .. } = serve;
        Ok(Self {
            listener,
            socket_dirs,
            handshake_line,
            serving,
            context,
            drain,
            config,
            progress,
            span,
            triggers,
            orphan,
        })
    }

    /// The handshake line that the host will read.
    #[must_use]
    pub fn handshake_line(&self) -> &HandshakeLine {
        &self.handshake_line
    }

    /// The output that hosts read.
    pub(crate) fn output(&self) -> Arc<CaptureBuffer> {
        Arc::clone(&self.drain.output)
    }

    /// Shuts the plugin down.
    pub(crate) fn shutdown(&self) -> Shutdown {
        self.context.shutdown.clone()
    }

    /// Watches for the shutdown file, if the configuration has one.
    pub(crate) fn watch_shutdown_file(&mut self) {
        if let Some(file) = &self.config.shutdown_file {
            self.triggers.watch_file(file.clone());
        }
    }
}

/// Decides how the connections are secured, and listens. A plugin that has inherited a connection listens there, if the configuration
/// permits it.
async fn secure_and_listen(
    serve: &mut Serve,
    env: &ReceivedEnv,
) -> Result<(Decision, Listening), ServeError> {
    let (config, custom) = (&serve.config, serve.transport.take());
    let inherited = serve
        .inherited
        .take()
        .filter(|_| may_inherit(config, custom.as_ref()) && security::needs_no_identity(config, env));
    if let Some(connection) = inherited {
        let decision = Decision { security: Security::Plain, certificate: None };
        return Ok((decision, listen_inherited(&connection)));
    }
    let decision = security::decide(config, env)?;
    let listening = listen(config, env, custom, decision.security.is_mutual()).await?;
    Ok((decision, listening))
}

fn triggers(serve: &mut Serve, started_by: StartedBy, span: &Span) -> Triggers {
    let runtime = serve.watch.take().unwrap_or_else(Handle::current);
    let exit_with_host = started_by == StartedBy::Host && serve.config.exit_with_host;
    Triggers::new(Shutdown::new(serve.shutdown.clone()), runtime, span.clone(), exit_with_host)
}

/// The versions that the plugin may serve, and the one that it serves.
struct AgreedVersions {
    served: Versions,
    negotiated: Negotiated,
}

/// Checks the configuration and agrees with the host on a version.
fn agree(serve: &mut Serve, env: &ReceivedEnv) -> Result<AgreedVersions, ServeError> {
    if let Some(error) = serve.config_error.take() {
        return Err(error.into());
    }
    serve.config.check()?;
    layers::check(&serve.config, cfg!(feature = "rate-limit"))?;
    for fault in &env.faults {
        tracing::warn!(%fault, "a variable of the host is ignored");
    }
    let has = Versions::new(serve.versions.keys().copied())?;
    let served = supported(&has, &serve.config)?;
    let negotiated = negotiate(env.versions.as_ref(), &served);
    Ok(AgreedVersions { served, negotiated })
}

impl AgreedVersions {
    fn log(&self, endpoint: &Endpoint, env: &ReceivedEnv) {
        // Text and fields are those of Go's plugins: tests of hosts look for them.
        tracing::debug!(network = endpoint.network(), address = endpoint.address(), "plugin address");
        if let Some(offered) = env.versions.as_ref().filter(|_| !self.negotiated.offered) {
            let served = &self.served;
            tracing::warn!(%offered, %served, "no version in common; announcing the oldest, which the host will refuse");
        }
    }
}

/// Makes the context of the plugin's services, with its broker.
fn context(
    serve: &Serve,
    env: &ReceivedEnv,
    negotiated: &Negotiated,
    triggers: &Triggers,
    security: &Security,
    http2: &http2::Settings,
    listen_at: ListenAt,
) -> PluginContext {
    let config = &serve.config;
    let meter = Meter::new();
    let mut settings = BrokerSettings::new(security.clone());
    settings.http2 = http2.clone();
    settings.http2.meter = Some(meter.brokered());
    settings.peer_timeout = config.broker_timeout;
    settings.grace = config.grace;
    settings.span = triggers.span().clone();
    settings.layers = serve.layers.clone();
    let inherited = matches!(listen_at, ListenAt::Inherited(_));
    if let ListenAt::Inherited(connection) = &listen_at {
        settings.dialer = Dialer::new(connection.clone());
    }
    // All connections share an inherited one anyway.
    let multiplexed = env.multiplex && !inherited;
    let broker = if multiplexed {
        Broker::multiplexed(Role::Plugin, settings)
    } else {
        Broker::direct(Role::Plugin, settings, listen_at)
    };
    PluginContext {
        version: negotiated.version,
        broker,
        health: Health::new(),
        shutdown: triggers.shutdown().clone(),
        host: HostFacts {
            offered_version: negotiated.offered,
            mutual_tls: security.is_mutual(),
            multiplexed,
            inherited,
        },
        #[cfg(feature = "rate-limit")]
        rate_limit: config.rate_limit.as_ref().map(layers::RateLimit::new),
        meter,
    }
}

fn drain(serve: &mut Serve, context: &PluginContext) -> Drain {
    let config = &serve.config;
    Drain {
        hooks: std::mem::take(&mut serve.hooks),
        instances: serve.instances.clone(),
        calls: InFlightCalls::default(),
        health: context.health.clone(),
        broker: context.broker.clone(),
        output: CaptureBuffer::new(config.output_buffer.as_usize(), config.output_timeout),
        grace: config.grace,
    }
}

fn serving(
    serve: &mut Serve,
    security: Security,
    http2: http2::Settings,
    context: &PluginContext,
    drain: &Drain,
) -> http2::Serving {
    let services = services(serve, context, drain);
    let mut serving = http2::Serving::new(services, security, context.shutdown.token());
    serving.settings = http2;
    serving.settings.meter = Some(context.meter.clone());
    serving.grace = serve.config.grace.saturating_add(LAST_CONNECTIONS);
    serving
}

/// Makes the plugin's own services, puts the layers around them, and adds the services of the protocol.
fn services(serve: &mut Serve, context: &PluginContext, drain: &Drain) -> Services {
    std::mem::take(&mut serve.on_start).into_iter().for_each(|start| start(context));
    let make = serve.versions.remove(&context.version).expect("a version is chosen among those served");
    let own = make(context).limited(layers::message_limits(&serve.config));
    // Around the message limits, so that a refused call costs nothing else.
    #[cfg(feature = "rate-limit")]
    let own = match &context.rate_limit {
        Some(limit) => own.layer(limit),
        None => own,
    };
    let own = layers::around(own, &serve.layers, &drain.calls);
    let built_in = BuiltIn {
        health: &context.health,
        broker: &context.broker,
        shutdown: &context.shutdown,
        output: &drain.output,
        instances: serve.instances.as_deref(),
        metadata: serve.metadata.as_ref(),
    };
    built_in.with(&own, &serve.config, std::mem::take(&mut serve.descriptors))
}

/// Returns the versions of the plugin that the configuration allows.
fn supported(has: &Versions, config: &PluginConfig) -> Result<Versions, ServeError> {
    let Some(allowed) = &config.supported_versions else { return Ok(has.clone()) };
    Versions::new(has.iter().filter(|version| allowed.contains(*version)))
        .map_err(|_| ServeError::NothingSupported { has: has.clone(), allowed: allowed.clone() })
}

fn http2_settings(
    config: &PluginConfig,
    orphan: Option<&OrphanTimeout>,
    lane: Option<u32>,
) -> http2::Settings {
    let mut settings = http2::Settings::default();
    settings.stream_window = config.http2.stream_window.as_u32();
    settings.connection_window = config.http2.connection_window.as_u32();
    settings.max_frame = config.http2.max_frame.as_u32();
    settings.max_headers = config.http2.max_headers.as_u32();
    settings.handshake_timeout = config.http2.handshake_timeout;
    settings.max_receive_message_size = config.max_receive_message_size.map(ByteSize::as_u64);
    settings.max_send_message_size = config.max_send_message_size.map(ByteSize::as_u64);
    settings.presence = orphan.map(|orphan| orphan.hosts.clone());
    settings.peer_silence = orphan.map(|orphan| orphan.timeout);
    if lane.is_some() {
        // Other hosts may attach, so that this side opens connections with HTTP/2.
        settings.lane = http2::Lane::Accepted;
    }
    settings
}

impl fmt::Debug for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bound").field("handshake_line", &self.handshake_line).finish_non_exhaustive()
    }
}

/// How much longer than calls the connections stay open, so that hosts can read the last output. Handlers that block cannot be
/// cut, and are left running after this time.
const LAST_CONNECTIONS: Duration = Duration::from_millis(500);
