//! The telemetry of a process.

use std::{fmt, sync::Arc, thread, time::Duration};

use opentelemetry_sdk::trace::SdkTracer;
use tokio::sync::oneshot;
use tracing::{Metadata, Subscriber, level_filters::LevelFilter};
use tracing_subscriber::{Layer, filter::FilterFn, registry::LookupSpan};

use crate::{
    calls::{InstrumentCalls, InstrumentServices},
    error::TelemetryError,
    metrics::Metrics,
    pipeline::Pipeline,
    settings::{Signals, TelemetryBuilder, signals_of_process},
};

/// The telemetry of a process. Dropping this sends what is left, as [`shut_down`](Self::shut_down) does.
pub struct Telemetry {
    pipeline: Option<Pipeline>,
    tracer: Option<SdkTracer>,
    pub(crate) metrics: Option<Arc<Metrics>>,
    level: LevelFilter,
    flush_timeout: Duration,
}

impl Telemetry {
    /// Sets up telemetry from OpenTelemetry's variables: `OTEL_SERVICE_NAME`, `OTEL_EXPORTER_OTLP_ENDPOINT` and the others.
    ///
    /// # Errors
    /// [`TelemetryError`] for invalid settings. A collector that cannot be reached is not an error.
    pub fn from_env() -> Result<Self, TelemetryError> {
        Self::builder().build()
    }

    /// Returns a builder, for settings of the program's own.
    pub fn builder() -> TelemetryBuilder {
        TelemetryBuilder::new()
    }

    fn new(settings: &TelemetryBuilder, signals: Signals) -> Result<Self, TelemetryError> {
        let wanted = signals.traces || signals.metrics;
        let pipeline = wanted.then(|| Pipeline::start(settings, signals)).transpose()?;
        let tracer = pipeline.as_ref().and_then(Pipeline::tracer);
        let meter = pipeline.as_ref().and_then(Pipeline::meter);
        let metrics = meter.map(|meter| Arc::new(Metrics::new(&meter)));
        let &TelemetryBuilder { level, flush_timeout, .. } = settings;
        Ok(Self { pipeline, tracer, metrics, level, flush_timeout })
    }

    /// Returns the layer that exports spans, for the program's tracing subscriber. [`serve`](Self::serve) adds this layer
    /// itself.
    ///
    /// The layer exports spans of this library up to level `DEBUG`, and spans and events of the program up to
    /// [the level that is set](TelemetryBuilder::level). Nothing of the HTTP/2 libraries and no log of a plugin is exported.
    pub fn layer<S>(&self) -> impl Layer<S> + Send + Sync + use<S>
    where
        S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
    {
        let level = self.level;
        let filter = FilterFn::new(move |metadata| is_exported(metadata, level))
            .with_max_level_hint(level.max(LevelFilter::DEBUG));
        self.tracer.clone().map(|tracer| {
            tracing_opentelemetry::layer()
                .with_tracer(tracer)
                .with_location(false)
                .with_threads(false)
                .with_tracked_inactivity(false)
                .with_filter(filter)
        })
    }

    /// Returns the tower layer for outgoing calls: `plugin.channel_with(&telemetry.calls())`. It fits any channel, such as one
    /// to the services of the host or to a brokered service.
    #[must_use]
    pub fn calls(&self) -> InstrumentCalls {
        InstrumentCalls::new(self.metrics.clone())
    }

    /// Returns the tower layer for services. [`host`](Self::host) and [`serve`](Self::serve) put it around all services. Use it
    /// for services that are served in another way.
    #[must_use]
    pub fn services(&self) -> InstrumentServices {
        InstrumentServices::new(self.metrics.clone())
    }

    /// Sends what is left, for at most [the timeout that is set](TelemetryBuilder::flush_timeout), and ends telemetry. Returns
    /// whether everything was sent. Unlike dropping, this does not block the thread.
    ///
    /// # Cancel safety
    /// When the future is dropped, sending goes on.
    pub async fn shut_down(mut self) -> bool {
        let Some(pipeline) = self.pipeline.take() else { return true };
        let timeout = self.flush_timeout;
        let (done, finished) = oneshot::channel();
        let finish = move || {
            let _ = done.send(pipeline.finish(timeout));
        };
        // If there is no thread, the pipeline is dropped here and sends nothing.
        drop(thread::Builder::new().spawn(finish));
        finished.await.unwrap_or(false)
    }
}

impl TelemetryBuilder {
    /// Sets telemetry up. Exports begin at once, in threads of their own. This does not wait for a connection.
    ///
    /// With `OTEL_SDK_DISABLED=true` the [`Telemetry`] does nothing. `OTEL_TRACES_EXPORTER=none` and
    /// `OTEL_METRICS_EXPORTER=none` switch off one signal each.
    ///
    /// # Errors
    /// [`TelemetryError`] for invalid settings. A collector that cannot be reached is not an error.
    pub fn build(self) -> Result<Telemetry, TelemetryError> {
        let signals = signals_of_process()?;
        Telemetry::new(&self, signals)
    }
}

impl Drop for Telemetry {
    fn drop(&mut self) {
        if let Some(pipeline) = self.pipeline.take() {
            pipeline.finish(self.flush_timeout);
        }
    }
}

impl fmt::Debug for Telemetry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Telemetry")
            .field("traces", &self.tracer.is_some())
            .field("metrics", &self.metrics.is_some())
            .field("level", &self.level)
            .finish_non_exhaustive()
    }
}

/// Whether a span or an event is exported.
fn is_exported(metadata: &Metadata<'_>, level: LevelFilter) -> bool {
    let target = metadata.target();
    let library = target.split("::").next().unwrap_or_default();
    if HTTP2_LIBRARIES.contains(&library) || library.starts_with("opentelemetry") {
        return false;
    }
    // A plugin's log belongs to the plugin's telemetry. In the host, its records would be events of the span of the plugin,
    // which lasts as long as the plugin.
    if library == "plugin" && metadata.is_event() {
        return false;
    }
    // The span of a call that is made for the log. The span from this crate has more attributes.
    if target == "rpcplugin_transport::trace" {
        return false;
    }
    let ours = library.starts_with("rpcplugin") && metadata.is_span();
    *metadata.level() <= if ours { level.max(LevelFilter::DEBUG) } else { level }
}

/// The libraries that carry calls. They make an event for each HTTP/2 frame.
const HTTP2_LIBRARIES: [&str; 8] =
    ["h2", "hyper", "hyper_util", "mio", "rustls", "tokio_rustls", "tonic", "tower"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_invalid_endpoint_is_refused() {
        let error = TelemetryBuilder::new().endpoint("not an address").build().unwrap_err();
        assert!(matches!(error, TelemetryError::Exporter(_)), "{error}");
    }
}
