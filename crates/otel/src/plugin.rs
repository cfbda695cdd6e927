//! The telemetry of a plugin.

use std::sync::Arc;

use rpcplugin_server::Serve;

use crate::telemetry::Telemetry;

impl Telemetry {
    /// A plugin whose services are [instrumented](Self::services), main and brokered, whose traffic and refused calls are
    /// counted, and whose tracing subscriber exports spans beside the log to the host. A program that has set a subscriber
    /// of its own adds [`layer`](Self::layer) to that.
    pub fn serve(&self, serve: Serve) -> Serve {
        let serve = serve.layer(self.services()).subscriber_layer(self.layer());
        let Some(metrics) = &self.metrics else { return serve };
        let metrics = Arc::clone(metrics);
        serve.on_start(move |context| {
            metrics.connections.add(None, context.meter.clone());
            if let Some(limit) = &context.rate_limit {
                metrics.limited_by(limit.clone());
            }
        })
    }
}
