//! The export from this process to the collector.

use std::{
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use opentelemetry::{
    Context,
    metrics::{Meter, MeterProvider as _},
    trace::TracerProvider as _,
};
use opentelemetry_otlp::{MetricExporter, SpanExporter, WithExportConfig};
use opentelemetry_sdk::{
    error::OTelSdkResult,
    metrics::{PeriodicReader, SdkMeterProvider},
    trace::{SdkTracer, SdkTracerProvider},
};
use tokio::{runtime, sync::oneshot};

use crate::{
    error::TelemetryError,
    settings::{Signals, TelemetryBuilder},
};

/// Exports until it is [finished](Self::finish).
#[derive(Debug)]
pub(crate) struct Pipeline {
    tracers: Option<SdkTracerProvider>,
    meters: Option<SdkMeterProvider>,
    /// Dropped to end the thread that runs the connections.
    _connections: oneshot::Sender<()>,
}

impl Pipeline {
    pub(crate) fn start(settings: &TelemetryBuilder, signals: Signals) -> Result<Self, TelemetryError> {
        let (_connections, ended) = oneshot::channel();
        let runtime = connections(ended)?;
        // The exporters' connections run on that thread: the program's own runtime may not exist yet, and may end before the
        // last spans are sent.
        let _entered = runtime.enter();
        let tracers = signals.traces.then(|| tracers(settings)).transpose()?;
        let meters = signals.metrics.then(|| meters(settings)).transpose()?;
        Ok(Self { tracers, meters, _connections })
    }

    pub(crate) fn tracer(&self) -> Option<SdkTracer> {
        self.tracers.as_ref().map(|tracers| tracers.tracer(NAME))
    }

    pub(crate) fn meter(&self) -> Option<Meter> {
        self.meters.as_ref().map(|meters| meters.meter(NAME))
    }

    /// Sends what is left, for at most `timeout`. Returns whether everything was sent.
    pub(crate) fn finish(self, timeout: Duration) -> bool {
        if timeout.is_zero() {
            return false;
        }
        let (done, finished) = mpsc::channel();
        let mut waiting = 0;
        // In parallel: a collector that does not respond uses up the whole timeout for each.
        if let Some(tracers) = self.tracers.clone() {
            waiting += in_thread(&done, move || tracers.shutdown_with_timeout(timeout));
        }
        if let Some(meters) = self.meters.clone() {
            waiting += in_thread(&done, move || meters.shutdown_with_timeout(timeout));
        }
        drop(done);
        let deadline = Instant::now() + timeout;
        (0..waiting).all(|_| {
            let left = deadline.saturating_duration_since(Instant::now());
            finished.recv_timeout(left).unwrap_or(false)
        })
    }
}

/// Runs `shut_down` in a thread, which sends whether it succeeded. Returns how many results to wait for: 1, or 0 if there is
/// no thread.
fn in_thread(done: &mpsc::Sender<bool>, shut_down: impl FnOnce() -> OTelSdkResult + Send + 'static) -> usize {
    let done = done.clone();
    let work = move || {
        let _ = done.send(shut_down().is_ok());
    };
    thread::Builder::new().name(NAME.to_owned()).spawn(work).map_or(0, |_| 1)
}

/// Starts the thread that runs the connections with the collector, until the other end of `ended` is dropped.
fn connections(ended: oneshot::Receiver<()>) -> Result<runtime::Handle, TelemetryError> {
    let runtime = runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(TelemetryError::Thread)?;
    let handle = runtime.handle().clone();
    let run = move || {
        // The export itself must not produce telemetry.
        let _suppressed = Context::enter_telemetry_suppressed_scope();
        let _ = runtime.block_on(ended);
        runtime.shutdown_background();
    };
    thread::Builder::new().name(NAME.to_owned()).spawn(run).map_err(TelemetryError::Thread)?;
    Ok(handle)
}

fn tracers(settings: &TelemetryBuilder) -> Result<SdkTracerProvider, TelemetryError> {
    let exporter = configured(SpanExporter::builder().with_tonic(), settings).build()?;
    Ok(SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(settings.resource()).build())
}

fn meters(settings: &TelemetryBuilder) -> Result<SdkMeterProvider, TelemetryError> {
    let exporter = configured(MetricExporter::builder().with_tonic(), settings).build()?;
    let mut reader = PeriodicReader::builder(exporter);
    if let Some(interval) = settings.metrics_interval {
        reader = reader.with_interval(interval);
    }
    Ok(SdkMeterProvider::builder().with_reader(reader.build()).with_resource(settings.resource()).build())
}

fn configured<E: WithExportConfig>(mut exporter: E, settings: &TelemetryBuilder) -> E {
    if let Some(endpoint) = &settings.endpoint {
        exporter = exporter.with_endpoint(endpoint);
    }
    if let Some(timeout) = settings.export_timeout {
        exporter = exporter.with_timeout(timeout);
    }
    exporter
}

/// The name of the instrumentation scope, and of the threads.
const NAME: &str = "rpcplugin-otel";
