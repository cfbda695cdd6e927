//! The third step: open the channel and make sure that the plugin answers.

use std::sync::Arc;

use rpcplugin_broker::PeerOrigin;
use rpcplugin_core::{AppVersion, Pid};
use rpcplugin_transport::{LANE_VERSION, Meter, speaks_tls};
use tokio::time::{Instant, timeout_at};

use super::{
    context::{Launch, stopped},
    failure::fail,
    greet::Greeted,
};
use crate::{
    connection::{
        host_services::{self, CallingPlugin},
        open::{self, ConnectTarget, Opened},
    },
    error::{ConnectFault, LaunchError, LaunchFault, SecurityFault},
    plugin::{
        Observed, Ownership, Plugin,
        assemble::{Connected, Launching, assemble},
    },
    process::runner::Runner,
};

/// Opens the channel and makes sure that the plugin answers.
pub(super) async fn connect<R: Runner>(
    launch: &Launch<'_, R>,
    greeted: Greeted,
) -> Result<Plugin, LaunchError> {
    let Greeted { process, stdin, handshake_line, endpoint, timings, security, sockets, route, inherited } =
        greeted;
    let version = handshake_line.version;
    let config = &launch.host.config;
    let ready = config.ready_timeout.map(|timeout| (Instant::now() + timeout, timeout));
    let (deadline, allowed) = match ready {
        Some((ready, allowed)) if ready < launch.deadline => (ready, allowed),
        _ => (launch.deadline, launch.timeout),
    };
    let meter = Meter::new();
    let target = ConnectTarget {
        endpoint: &endpoint,
        route: route.clone(),
        inherited: inherited.as_ref(),
        security: &security,
        multiplex: config.multiplex,
        lane: config.lane && handshake_line.lane == Some(LANE_VERSION),
        sockets: &sockets,
        meter: &meter,
        layers: &launch.host.layers,
        span: &launch.span,
        peer_origin: PeerOrigin::Launched,
        exit: Some(process.exit_token()),
    };
    let opened = tokio::select! {
        opened = timeout_at(deadline, open(launch, target, version)) => {
            let late = || stopped(&process).map_or(ConnectFault::Timeout(allowed).into(), LaunchFault::from);
            opened.unwrap_or_else(|_| Err(late()))
        }
        reason = process.exited() => Err(ConnectFault::Exited(reason).into()),
        never = launch.report_waiting(&process) => match never {},
    };
    let opened = match opened {
        Ok(opened) => opened,
        Err(fault) => {
            let fault = match fault {
                LaunchFault::Connect(ConnectFault::Unreachable(_) | ConnectFault::HealthCheckFailed(_))
                    if !security.is_mutual() && speaks_tls(&route.dialer, &endpoint).await =>
                {
                    SecurityFault::OwnCertificates.into()
                }
                fault => fault,
            };
            return Err(fail(launch, fault, process).await);
        }
    };
    if timeout_at(deadline, process.ready()).await.is_err() {
        return Err(fail(launch, ConnectFault::Timeout(allowed).into(), process).await);
    }
    let connected = Connected { process, stdin, opened, version, endpoint, security, meter, sockets };
    let observed = Observed {
        fan_out: Arc::clone(&launch.fan_out),
        stderr_tail: Arc::clone(&launch.stderr_tail),
        span: launch.span.clone(),
    };
    let launching = Launching {
        started: launch.started,
        timings,
        handshake_line: Some(handshake_line),
        #[cfg(feature = "sandbox")]
        confinement: launch.confinement.get().cloned(),
    };
    let plugin = assemble(connected, observed, launching, config.clone(), Ownership::Owned);
    report(launch, &plugin);
    Ok(plugin)
}

/// Reports that the plugin is ready, outside of the plugin's span, whose fields are the same.
fn report<R>(launch: &Launch<'_, R>, plugin: &Plugin) {
    tracing::info!(
        parent: None,
        plugin = launch.name,
        plugin.path = %launch.program.display(),
        plugin.pid = plugin.pid().map(Pid::get),
        plugin.version = %plugin.version(),
        endpoint = %plugin.endpoint(),
        mutual = plugin.security().is_mutual(),
        elapsed = ?plugin.launch_time(),
        "plugin ready"
    );
}

async fn open<R: Runner>(
    launch: &Launch<'_, R>,
    target: ConnectTarget<'_>,
    version: AppVersion,
) -> Result<Opened, LaunchFault> {
    let (host, requirements) = (launch.host, launch.runner.requirements());
    let opened = open::open(target, &host.config).await?;
    let (own, limit) = (host.program_version.as_ref(), host.config.admin_timeout);
    opened.check_requirements(&launch.name, requirements, own, limit).await?;
    // Last, when nothing else can fail: the services are served until the broker is closed.
    let plugin = CallingPlugin { plugin: launch.fan_out.id(), version, broker: opened.broker.get().clone() };
    host_services::serve(host.services.as_ref(), &plugin).await.map_err(ConnectFault::from)?;
    Ok(opened)
}
