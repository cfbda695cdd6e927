//! The last step of a launch and of an attachment: a connected process becomes a plugin.

use std::sync::Arc;

use rpcplugin_config::HostConfig;
use rpcplugin_core::{AppVersion, Endpoint};
use rpcplugin_handshake::HandshakeLine;
use rpcplugin_transport::{Meter, Security, SocketDir};
use tokio::time::Instant;

use super::{
    LaunchRecord, LaunchTimings, Observed, Ownership, Plugin, Session, StdinWriter,
    call_status::ExitExplainer,
};
use crate::{
    connection::open::Opened, observe::event::Event, process::owner::ProcessHandle,
    streams::background::BackgroundStreams,
};

/// A process that the host is connected to.
pub(crate) struct Connected {
    pub(crate) process: ProcessHandle,
    pub(crate) stdin: Option<StdinWriter>,
    pub(crate) opened: Opened,
    pub(crate) version: AppVersion,
    pub(crate) endpoint: Endpoint,
    pub(crate) security: Security,
    pub(crate) meter: Meter,
    pub(crate) sockets: SocketDir,
}

/// The results of the launch before it is complete.
pub(crate) struct Launching {
    pub(crate) started: Instant,
    pub(crate) timings: LaunchTimings,
    pub(crate) handshake_line: Option<HandshakeLine>,
    #[cfg(feature = "sandbox")]
    pub(crate) confinement: Option<rpcplugin_sandbox::Confinement>,
}

/// Opens the long-lived streams and reports that the plugin is ready.
pub(crate) fn assemble(
    connected: Connected,
    observed: Observed,
    launching: Launching,
    config: HostConfig,
    ownership: Ownership,
) -> Plugin {
    let Connected { process, stdin, opened, version, endpoint, security, meter, sockets } = connected;
    let Opened { channel, broker, certificate, metadata, connection, health } = opened;
    let Launching {
        started,
        timings,
        handshake_line,
        #[cfg(feature = "sandbox")]
        confinement,
    } = launching;
    let fan_out = &observed.fan_out;
    let streams = BackgroundStreams::open(&channel, broker.get(), fan_out, &process, &observed.span);
    fan_out.connected(&meter);
    let total = started.elapsed();
    fan_out.event(Event::Ready { elapsed: total });
    process.output_is_complete();
    let tail = Arc::clone(&observed.stderr_tail);
    let explainer = Arc::new(ExitExplainer::new(fan_out.id(), process.exit(), process.finish(), tail));
    let exit_aware = channel.clone().explained(Arc::clone(&explainer) as _);
    let broker = broker.keep();
    let session = Session {
        channel,
        exit_aware,
        explainer,
        broker,
        version,
        endpoint,
        security,
        certificate,
        metadata,
        meter,
        sockets,
    };
    let timings = LaunchTimings { connection, health, ..timings };
    let launch = LaunchRecord {
        timings,
        total,
        handshake_line,
        #[cfg(feature = "sandbox")]
        confinement,
    };
    Plugin { process, stdin, session, streams, observed, launch, config, ownership }
}
