//! Attaching to a plugin that another program launched.

mod attached_process;
mod error;

use std::sync::Arc;

use rpcplugin_broker::PeerOrigin;
use rpcplugin_core::{AppVersion, Endpoint, Pid};
use rpcplugin_handshake::{ReattachConfig, accept_version};
use rpcplugin_transport::{Dialer, Meter, Security, http2::ChannelError};
use tokio::time::{Instant, timeout};
use tracing::{Instrument as _, Span};

use self::attached_process::{AttachedProcess, LeftBehind};
pub use self::error::AttachError;
use crate::{
    connection::{
        host_services::{self, CallingPlugin},
        open::{self, ConnectTarget, Opened},
        route::Route,
        security, socket_dir,
    },
    error::{ConnectFault, HandshakeFault, SecurityFault, SetupFault},
    host::Host,
    observe::{event::Event, fan_out::PluginTopics},
    plugin::{
        LaunchTimings, Observed, Ownership, Plugin,
        assemble::{Connected, Launching, assemble},
        span,
    },
    process::{
        owner::{OnDrop, ProcessHandle},
        runner::PluginProcess as _,
    },
    reattach::attachment::Attachment,
    streams::stderr_tail::StderrTail,
};

impl Host {
    /// Attaches to a running plugin: that of an earlier host, a plugin in test mode, or one that another program
    /// launched.
    ///
    /// Dropping the [`Plugin`] leaves it running. [`Plugin::shut_down`] ends it, unless it is in test mode. The log
    /// and the real output go to the program that launched it, and are not read here.
    ///
    /// ```no_run
    /// # use rpcplugin_client::Host;
    /// # use rpcplugin_handshake::ReattachConfigs;
    /// # async fn example(host: Host) -> Result<(), Box<dyn std::error::Error>> {
    /// let printed = std::env::args().nth(1).unwrap_or_default(); // the value of TF_REATTACH_PROVIDERS
    /// for (name, config) in ReattachConfigs::parse(&printed)?.0 {
    ///     let plugin = host.attach(config).await?;
    ///     if let Some(pid) = plugin.pid() {
    ///         println!("{name} is process {pid}");
    ///     }
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`AttachError`]. The plugin is not changed.
    ///
    /// # Cancel safety
    /// Dropping the future does not change the plugin.
    pub async fn attach(&self, attachment: impl Into<Attachment>) -> Result<Plugin, AttachError> {
        attach(self, attachment.into()).await
    }
}

/// Attaches to a plugin.
///
/// # Protocol
/// go-plugin `client.go` `reattach`. Differs: the plugin has to answer its health call. The recorded pid counts only
/// if that process has the listening socket open, so that no signal reaches another process that got the same pid.
async fn attach(host: &Host, attachment: Attachment) -> Result<Plugin, AttachError> {
    let started = Instant::now();
    let config = &host.config;
    config.check()?;
    if config.multiplex {
        return Err(AttachError::Multiplexed);
    }
    if matches!(attachment.config.endpoint, Endpoint::Inherited(_)) {
        return Err(AttachError::Inherited);
    }
    let Resolved { version, endpoint, security } = resolve(host, &attachment).map_err(|error| *error)?;
    let refused = |source| AttachError::Refused { endpoint: attachment.config.endpoint.clone(), source };
    let Attachment {
        config: ReattachConfig { pid, test, .. },
        name,
        translate,
        leftover_dir,
        leaves_socket,
        #[cfg(feature = "sandbox")]
        confinement,
        ..
    } = attachment.clone();
    let sockets = socket_dir::private(config).map_err(|error| refused(SetupFault::from(error).into()))?;
    let meter = Meter::new();
    let span = span::span(name.as_ref());
    span.record("plugin.version", version.0).record("endpoint", tracing::field::display(&endpoint));
    let target = ConnectTarget {
        endpoint: &endpoint,
        route: Route { translate, dialer: Dialer::sockets() },
        inherited: None,
        security: &security,
        multiplex: false,
        lane: false,
        sockets: &sockets,
        meter: &meter,
        layers: &host.layers,
        span: &span,
        peer_origin: PeerOrigin::Attached,
        exit: None,
    };
    let opened = connect(host, target, &span).await.map_err(|fault| match fault {
        ConnectFault::Unreachable(source @ (ChannelError::Connect(_) | ChannelError::Timeout(_))) => {
            AttachError::NoPlugin { endpoint: endpoint.clone(), source }
        }
        fault => refused(fault.into()),
    })?;
    let (own, limit) = (host.program_version.as_ref(), config.admin_timeout);
    opened
        .check_requirements(&name, Some(&attachment.requirements), own, limit)
        .await
        .map_err(|fault| refused(fault.into()))?;
    let fan_out = host.fan_out(&name, 1, Arc::new(PluginTopics::new()));
    let plugin = CallingPlugin { plugin: fan_out.id(), version, broker: opened.broker.get().clone() };
    host_services::serve(host.services.as_ref(), &plugin)
        .await
        .map_err(|error| refused(ConnectFault::from(error).into()))?;
    let process =
        AttachedProcess::find(&endpoint, pid, LeftBehind { dir: leftover_dir, leaves_socket }).await;
    span.record("plugin.pid", process.pid().map(Pid::get));
    // Before the process is watched: it may exit at any moment, and the exit has to follow the start.
    fan_out.event(Event::Started { pid: process.pid() });
    let process = ProcessHandle::own(process, OnDrop::Leave, config.drain_timeout, &fan_out, &span);
    let connected = Connected { process, stdin: None, opened, version, endpoint, security, meter, sockets };
    let observed = Observed { fan_out, stderr_tail: Arc::new(StderrTail::new(config)), span };
    let launching = Launching {
        started,
        timings: LaunchTimings::default(),
        handshake_line: None,
        #[cfg(feature = "sandbox")]
        confinement,
    };
    let ownership = if test { Ownership::TestMode } else { Ownership::Owned };
    let plugin = assemble(connected, observed, launching, config.clone(), ownership);
    report(&plugin);
    Ok(plugin)
}

/// The connection as the attachment and the host's configuration describe it.
struct Resolved {
    version: AppVersion,
    /// The endpoint that this host dials: the recorded one, translated.
    endpoint: Endpoint,
    security: Security,
}

fn resolve(host: &Host, attachment: &Attachment) -> Result<Resolved, Box<AttachError>> {
    let Attachment {
        config: ReattachConfig { version, endpoint, .. }, security, server_name, translate, ..
    } = attachment;
    let refused = |source| Box::new(AttachError::Refused { endpoint: endpoint.clone(), source });
    let version = match version {
        Some(version) => accept_version(*version, &host.versions).map_err(AttachError::from)?,
        // A Go host writes 0 for an unknown version.
        None if host.versions.contains(AppVersion(0)) => AppVersion(0),
        None => host.versions.newest(),
    };
    let dialled = match translate {
        None => endpoint.clone(),
        Some(translate) => translate.dial_as(endpoint).map_err(|source| {
            refused(HandshakeFault::Translate { endpoint: endpoint.clone(), source }.into())
        })?,
    };
    let security = match security {
        Some(security) => security.clone(),
        None => security::given(&host.config).map_err(|fault| refused(fault.into()))?,
    };
    let server_name = server_name.as_ref().or(host.config.server_name.as_ref());
    let security = security::named(security, server_name.map(String::as_str))
        .map_err(|error| refused(SecurityFault::from(error).into()))?;
    Ok(Resolved { version, endpoint: dialled, security })
}

async fn connect(host: &Host, target: ConnectTarget<'_>, span: &Span) -> Result<Opened, ConnectFault> {
    let endpoint = target.endpoint;
    let opening = open::open(target, &host.config)
        .instrument(tracing::debug_span!(parent: span, "connect", %endpoint))
        .instrument(span.clone());
    let limit = host.config.launch_timeout;
    timeout(limit, opening).await.unwrap_or(Err(ConnectFault::Timeout(limit)))
}

/// Reports that the plugin is ready, outside of the plugin's span, whose fields are the same.
fn report(plugin: &Plugin) {
    tracing::info!(
        parent: None,
        plugin = plugin.name(),
        plugin.pid = plugin.pid().map(Pid::get),
        plugin.version = %plugin.version(),
        endpoint = %plugin.endpoint(),
        mutual = plugin.security().is_mutual(),
        elapsed = ?plugin.launch_time(),
        "plugin attached"
    );
}
