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
    settings::{Signals, TelemetryBuilder},
};

/// The telemetry of a process. Dropping it, or [`shut_down`](Self::shut_down), sends what is left.
pub struct Telemetry {
    pipeline: Option<Pipeline>,
    tracer: Option<SdkTracer>,
    pub(crate) metrics: Option<Arc<Metrics>>,
    level: LevelFilter,
    flush_within: Duration,
}

impl Telemetry {
    /// Telemetry as OpenTelemetry's variables say: `OTEL_SERVICE_NAME`, `OTEL_EXPORTER_OTLP_ENDPOINT` and the others.
    ///
    /// # Errors
    /// [`TelemetryError`] for settings that make no sense. A collector that is away is no error.
    pub fn from_env() -> Result<Self, TelemetryError> {
        Self::builder().build()
    }

    /// Telemetry with settings of the program's own.
    pub fn builder() -> TelemetryBuilder {
        TelemetryBuilder::new()
    }

    pub(crate) fn new(settings: &TelemetryBuilder, signals: Signals) -> Result<Self, TelemetryError> {
        let wanted = signals.traces || signals.metrics;
        let pipeline = wanted.then(|| Pipeline::start(settings, signals)).transpose()?;
        let tracer = pipeline.as_ref().and_then(Pipeline::tracer);
        let meter = pipeline.as_ref().and_then(Pipeline::meter);
        let metrics = meter.map(|meter| Arc::new(Metrics::new(&meter)));
        let &TelemetryBuilder { level, flush_within, .. } = settings;
        Ok(Self { pipeline, tracer, metrics, level, flush_within })
    }

    /// The layer that exports spans, for the program's tracing subscriber. [`serve`](Self::serve) adds it by itself.
    ///
    /// It takes the spans of this library down to `DEBUG` and the program's down to
    /// [the level that is set](TelemetryBuilder::level), with the events of those levels, and nothing of the HTTP/2
    /// libraries below. A plugin's log is not among them.
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

    /// The tower layer for calls that this process makes: `plugin.channel_with(&telemetry.calls())`. It goes around any
    /// channel, such as that to a host's callbacks or to a brokered service.
    #[must_use]
    pub fn calls(&self) -> InstrumentCalls {
        InstrumentCalls::new(self.metrics.clone())
    }

    /// The tower layer for services that this process serves. [`host`](Self::host) and [`serve`](Self::serve) put it around
    /// all of them; it is for services that are served otherwise.
    #[must_use]
    pub fn services(&self) -> InstrumentServices {
        InstrumentServices::new(self.metrics.clone())
    }

    /// Ends telemetry: sends what is left, for at most the time that [is set](TelemetryBuilder::flush_within). Returns
    /// whether all was sent. Unlike dropping, it blocks no thread.
    ///
    /// # Cancel safety
    /// The end goes on when the future is dropped.
    pub async fn shut_down(mut self) -> bool {
        let Some(pipeline) = self.pipeline.take() else { return true };
        let within = self.flush_within;
        let (done, finished) = oneshot::channel();
        let finish = move || {
            let _ = done.send(pipeline.finish(within));
        };
        // Without a thread the pipeline is dropped here, and sends nothing more.
        drop(thread::Builder::new().spawn(finish));
        finished.await.unwrap_or(false)
    }
}

impl Drop for Telemetry {
    fn drop(&mut self) {
        if let Some(pipeline) = self.pipeline.take() {
            pipeline.finish(self.flush_within);
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

/// Whether a span or an event goes to the collector.
fn is_exported(metadata: &Metadata<'_>, level: LevelFilter) -> bool {
    let target = metadata.target();
    let library = target.split("::").next().unwrap_or_default();
    if BELOW.contains(&library) || library.starts_with("opentelemetry") {
        return false;
    }
    // What a plugin prints is its own telemetry; and its host's span of it lasts as long as the plugin does.
    if library == "plugin" && metadata.is_event() {
        return false;
    }
    // The span of a call for the log; the one for the collector says more.
    if target == "rpcplugin_transport::trace" {
        return false;
    }
    let ours = library.starts_with("rpcplugin") && metadata.is_span();
    *metadata.level() <= if ours { level.max(LevelFilter::DEBUG) } else { level }
}

/// The libraries that carry calls. Each frame of HTTP/2 would be an event.
const BELOW: [&str; 8] = ["h2", "hyper", "hyper_util", "mio", "rustls", "tokio_rustls", "tonic", "tower"];
