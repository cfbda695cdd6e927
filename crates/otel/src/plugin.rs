//! The telemetry of a plugin.

use std::sync::Arc;

use rpcplugin_server::Serve;

use crate::telemetry::Telemetry;

impl Telemetry {
    /// Adds telemetry to a plugin: [instruments](Self::services) its own and brokered services, counts its traffic and its
    /// refused calls, and exports the spans of its tracing subscriber. If the program sets its own subscriber, add
    /// [`layer`](Self::layer) to that.
    pub fn serve(&self, serve: Serve) -> Serve {
        let serve = serve.layer(self.services()).subscriber_layer(self.layer());
        let Some(metrics) = &self.metrics else { return serve };
        let metrics = Arc::clone(metrics);
        serve.on_start(move |context| {
            metrics.connections.add(None, context.meter.clone());
            #[cfg(feature = "rate-limit")]
            if let Some(limit) = &context.rate_limit {
                metrics.limited_by(limit.clone());
            }
        })
    }
}
