//! The parts of a plugin.

use std::{sync::Arc, time::Duration};

use rpcplugin_broker::Broker;
use rpcplugin_core::{AppVersion, Endpoint};
use rpcplugin_handshake::HandshakeLine;
use rpcplugin_mtls::PeerCertificate;
use rpcplugin_transport::{Meter, Security, SocketDir, http2::PluginChannel};
use tracing::Span;

use super::{call_status::ExitExplainer, timings::LaunchTimings};
use crate::{connection::open::KnownMetadata, observe::fan_out::FanOut, streams::stderr_tail::StderrTail};

/// The connection with a plugin.
pub(crate) struct Session {
    pub(crate) channel: PluginChannel,
    /// The same channel. Failed calls report how the process exited.
    pub(crate) exit_aware: PluginChannel,
    /// Explains the failed calls of `exit_aware`.
    pub(crate) explainer: Arc<ExitExplainer>,
    pub(crate) broker: Broker,
    pub(crate) version: AppVersion,
    pub(crate) endpoint: Endpoint,
    pub(crate) security: Security,
    pub(crate) certificate: Option<PeerCertificate>,
    pub(crate) metadata: KnownMetadata,
    pub(crate) meter: Meter,
    /// The directory of the host's sockets, removed with everything in it after the plugin has exited.
    pub(crate) sockets: SocketDir,
}

/// The observers, the tail of stderr and the span of a plugin.
pub(crate) struct Observed {
    pub(crate) fan_out: Arc<FanOut>,
    pub(crate) stderr_tail: Arc<StderrTail>,
    /// The span from the launch to the exit.
    pub(crate) span: Span,
}

/// The results of the launch.
pub(crate) struct LaunchRecord {
    pub(crate) timings: LaunchTimings,
    pub(crate) total: Duration,
    pub(crate) handshake_line: Option<HandshakeLine>,
    #[cfg(feature = "sandbox")]
    pub(crate) confinement: Option<rpcplugin_sandbox::Confinement>,
}
