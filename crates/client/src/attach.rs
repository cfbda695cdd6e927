//! Attaching to a plugin that runs already.

mod foreign;
mod handover;
#[cfg(target_os = "linux")]
mod listening;

use std::{path::PathBuf, sync::Arc};

use miette::Diagnostic;
use rpcplugin_broker::{PeerOrigin, Translate};
use rpcplugin_config::ConfigError;
use rpcplugin_core::{AppVersion, Endpoint};
use rpcplugin_handshake::{ReattachConfig, VersionNotOffered, accept_version};
use rpcplugin_mtls::{Identity, MutualTls, TlsError, Trust};
use rpcplugin_transport::{Meter, Security, http2::ConnectError};
use tokio::time::{Instant, timeout};
use tracing::Instrument as _;

pub use self::handover::{Handover, HandoverError, NotHandedOver};
use crate::{
    callbacks::Caller,
    connection::{self, Opened, Target},
    error::LaunchFault,
    events::Event,
    feed::OwnTopics,
    host::Host,
    life,
    plugin::{Parts, Plugin},
    process::{Process, WhenDropped},
    runner::Running as _,
    secret,
    services::Services,
    sockets,
    steps::LaunchTimings,
    tail::Tail,
};
use foreign::Foreign;

/// A plugin that runs already, and how to reach it.
///
/// It is made of what a plugin in test mode or an earlier host wrote down ([`ReattachConfig`], [`Handover`]), or simply
/// of an address.
///
/// ```
/// use rpcplugin_client::Attachment;
/// use rpcplugin_core::Endpoint;
///
/// let kv = Attachment::new(Endpoint::parse("tcp", "127.0.0.1:4711")?, 1).name("kv");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Attachment {
    config: ReattachConfig,
    security: Option<Security>,
    server_name: Option<String>,
    name: String,
    translate: Option<Arc<dyn Translate>>,
    /// A directory that an earlier host made for the plugin's socket.
    leftover: Option<PathBuf>,
}

/// A host could not attach to a plugin.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[non_exhaustive]
pub enum AttachError {
    /// Nobody is there.
    #[error("there is no plugin at {endpoint}")]
    #[diagnostic(
        code(rpcplugin::transport::attach_no_plugin),
        help(
            "the plugin has ended, or listens elsewhere by now: start it anew, and attach with what it says then"
        )
    )]
    NoPlugin {
        /// Where it was looked for.
        endpoint: Endpoint,
        /// What became of the connection.
        source: ConnectError,
    },
    /// Somebody is there, and not a plugin that this host can use.
    #[error("the plugin at {endpoint} cannot be attached to")]
    #[diagnostic(
        code(rpcplugin::transport::attach_refused),
        help("check that it is the plugin that was meant, and that both sides are secured in the same way")
    )]
    Refused {
        /// Where it is.
        endpoint: Endpoint,
        /// What went wrong.
        #[diagnostic_source]
        source: LaunchFault,
    },
    /// It speaks a version of the protocol that this host does not.
    #[error("it does not speak this host's protocol")]
    #[diagnostic(code(rpcplugin::protocol::attach_version))]
    Version(
        #[from]
        #[diagnostic_source]
        VersionNotOffered,
    ),
    /// The host's configuration has values that are impossible, or do not go together.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Settings(#[from] ConfigError),
    /// The host asks for one socket for everything.
    #[error("a plugin that is attached to cannot carry all connections over one socket")]
    #[diagnostic(
        code(rpcplugin::config::attach_multiplexed),
        help("do not ask for multiplexing in the host (PLUGIN_MULTIPLEX_GRPC) when it attaches")
    )]
    Multiplexed,
}

impl Attachment {
    /// A plugin that listens at this address and speaks this version of the application's protocol. It is not known which
    /// process it is, unless the address tells; it is ended as a plugin of this host would be.
    #[must_use]
    pub fn new(endpoint: impl Into<Endpoint>, version: impl Into<AppVersion>) -> Self {
        let (endpoint, version) = (endpoint.into(), version.into());
        ReattachConfig { version, endpoint, pid: None, test: false }.into()
    }

    /// Secures the connection: this side presents `identity` and accepts whom `trust` names.
    ///
    /// Without it the connection is secured by the certificate, key and authorities of the host's configuration if it has
    /// all three, and otherwise not at all: whoever can reach the plugin may speak to it, as with go-plugin.
    ///
    /// # Errors
    /// [`TlsError`] when these make no TLS settings.
    pub fn secured(mut self, identity: Identity, trust: Trust) -> Result<Self, TlsError> {
        self.security = Some(Security::Mutual(MutualTls::new(identity, trust)?));
        Ok(self)
    }

    /// Translates addresses, if the plugin does not see the files and networks that this host sees: its own address, as
    /// it is written down, and those of brokered connections in both directions. By default none is.
    #[must_use]
    pub fn translate(mut self, translate: Arc<dyn Translate>) -> Self {
        self.translate = Some(translate);
        self
    }

    /// The name that the plugin's certificate must carry where authorities verify it: a DNS name or an IP address. By
    /// default that of the host's configuration, which is `localhost` if nothing else is said. One that is neither makes
    /// attaching fail.
    #[must_use]
    pub fn server_name(mut self, name: impl Into<String>) -> Self {
        self.server_name = Some(name.into());
        self
    }

    /// The name by which logs call the plugin. By default `attached`.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }
}

impl From<ReattachConfig> for Attachment {
    fn from(config: ReattachConfig) -> Self {
        Self {
            config,
            security: None,
            server_name: None,
            name: "attached".to_owned(),
            translate: None,
            leftover: None,
        }
    }
}

/// Attaches to a plugin.
///
/// # Protocol
/// go-plugin `client.go` `reattach`. Differs: the plugin has to answer its health call, and the process that is written
/// down counts only if it has the listening socket open, so that a stranger who got its number is never signalled.
pub(crate) async fn attach(host: &Host, attachment: Attachment) -> Result<Plugin, AttachError> {
    let Attachment { config: written, security, server_name, name, translate, leftover } = attachment;
    let ReattachConfig { version, endpoint, pid, test } = written;
    let config = &host.config;
    let started = Instant::now();
    config.check()?;
    if config.multiplex {
        return Err(AttachError::Multiplexed);
    }
    let version = match version {
        // A Go host writes no version down.
        AppVersion(0) if !host.versions.contains(version) => host.versions.newest(),
        version => accept_version(version, &host.versions)?,
    };
    let announced = endpoint;
    let refused = |source| AttachError::Refused { endpoint: announced.clone(), source };
    let endpoint = match &translate {
        None => announced.clone(),
        Some(translate) => translate
            .dial_as(&announced)
            .map_err(|source| refused(LaunchFault::Translate { endpoint: announced.clone(), source }))?,
    };
    let security = match security {
        Some(security) => security,
        None => secret::given(config).map_err(refused)?,
    };
    let server_name = server_name.or_else(|| config.server_name.clone());
    let security = secret::named(security, server_name.as_deref()).map_err(|error| refused(error.into()))?;
    let sockets = sockets::private(config).map_err(|error| refused(error.into()))?;
    let meter = Meter::new();
    let life = life::span(name.as_ref());
    life.record("plugin.version", version.0).record("endpoint", tracing::field::display(&endpoint));
    let target = Target {
        endpoint: &endpoint,
        security: &security,
        multiplex: false,
        sockets: &sockets,
        translate,
        meter: &meter,
        layers: &host.layers,
        life: &life,
        arrival: PeerOrigin::Attached,
    };
    let connecting = connection::open(target, config)
        .instrument(tracing::debug_span!(parent: &life, "connect", %endpoint))
        .instrument(life.clone());
    let opened = timeout(config.launch_timeout, connecting).await;
    let opened = opened.unwrap_or(Err(LaunchFault::NotReady(config.launch_timeout)));
    let Opened { channel, broker, certificate, connection, health } =
        opened.map_err(|fault| match fault {
            LaunchFault::Connect(source @ (ConnectError::Dial(_) | ConnectError::Silent(_))) => {
                AttachError::NoPlugin { endpoint: endpoint.clone(), source }
            }
            fault => refused(fault),
        })?;
    let feed = host.feed(&name, 1, Arc::new(OwnTopics::new()));
    if let Some(callbacks) = &host.callbacks {
        let caller = Caller { plugin: feed.id(), version, broker: broker.get().clone() };
        callbacks.offer(&caller).await.map_err(|error| refused(error.into()))?;
    } else {
        broker.get().refuse_host_services();
    }
    let foreign = Foreign::find(&endpoint, pid, leftover).await;
    life.record("plugin.pid", foreign.pid());
    // First: the plugin may end at any moment, and its end comes after its start.
    feed.event(Event::Started { pid: foreign.pid().unwrap_or_default() });
    let process = Process::watch(foreign, WhenDropped::Leave, config.drain_timeout, &feed, &life);
    let services = Services::open(&channel, broker.get(), &feed, &process, &life);
    feed.connected(&meter);
    let elapsed = started.elapsed();
    feed.event(Event::Ready { elapsed });
    // Outside of the span of its life, whose fields are these.
    tracing::info!(
        parent: None,
        plugin = name,
        plugin.pid = process.pid(),
        plugin.version = %version,
        %endpoint,
        mutual = security.is_mutual(),
        ?elapsed,
        "plugin attached"
    );
    Ok(Plugin::new(Parts {
        process,
        stdin: None,
        channel,
        broker: broker.keep(),
        feed,
        tail: Arc::new(Tail::new(config)),
        version,
        endpoint,
        security,
        launch_time: elapsed,
        steps: LaunchTimings { connection, health, ..LaunchTimings::default() },
        answer: None,
        certificate,
        config: config.clone(),
        services,
        sockets,
        meter,
        life,
        test,
    }))
}
