//! The telemetry of a host.

use std::sync::Arc;

use miette::Diagnostic as _;
use rpcplugin_client::{Event, Host, LaunchError, LaunchFault, Observer, PluginId};
use rpcplugin_transport::Meter;

use crate::{metrics::Metrics, telemetry::Telemetry};

impl Telemetry {
    /// Adds telemetry to a host: counts launches, restarts, connected plugins, bytes and messages, and
    /// [instruments](Self::services) the services that the host offers. For the host's own calls use [`calls`](Self::calls).
    #[must_use]
    pub fn host(&self, host: Host) -> Host {
        let host = host.layer(self.services());
        match &self.metrics {
            Some(metrics) => host.observe(MetricsObserver(Arc::clone(metrics))),
            None => host,
        }
    }
}

struct MetricsObserver(Arc<Metrics>);

impl Observer for MetricsObserver {
    fn takes_logs(&self) -> bool {
        false
    }

    fn connected(&self, plugin: &PluginId, meter: &Meter) {
        self.0.connections.add(Some(Arc::clone(&plugin.name)), meter.clone());
    }

    fn not_launched(&self, plugin: &PluginId, error: &LaunchError) {
        // A plugin chooses the code of its own faults freely, and each label is kept for the life of the process.
        let code = match &error.fault {
            fault @ (LaunchFault::Handshake(rpcplugin_client::HandshakeFault::ExitedEarly(_))
            | LaunchFault::Connect(rpcplugin_client::ConnectFault::Exited(_))) => fault.code(),
            _ => error.code(),
        };
        let code = code.map(|code| code.to_string());
        self.0.launched(&plugin.name, error.facts().elapsed, Some(code.unwrap_or_else(|| "_OTHER".into())));
    }

    fn event(&self, plugin: &PluginId, event: &Event) {
        match event {
            Event::Ready { elapsed } => self.0.launched(&plugin.name, *elapsed, None),
            Event::Restarting { .. } => self.0.restarted(&plugin.name),
            _ => {}
        }
    }
}
