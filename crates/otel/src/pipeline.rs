//! The way from this process to the collector.

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
    /// Dropped to end the thread of the connections.
    _connections: oneshot::Sender<()>,
}

impl Pipeline {
    pub(crate) fn start(settings: &TelemetryBuilder, signals: Signals) -> Result<Self, TelemetryError> {
        let (_connections, ended) = oneshot::channel();
        let runtime = connections(ended)?;
        // What tonic makes for the exporters belongs to that thread: a program may end its own runtime before the last
        // spans are sent, and may have none when it begins.
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

    /// Sends what is left, for at most this long. Returns whether all was sent.
    pub(crate) fn finish(self, within: Duration) -> bool {
        if within.is_zero() {
            return false;
        }
        let (done, finished) = mpsc::channel();
        let mut waiting = 0;
        // Side by side: a collector that keeps silent takes all of the time for either.
        if let Some(tracers) = self.tracers.clone() {
            waiting += in_thread(&done, move || tracers.shutdown_with_timeout(within));
        }
        if let Some(meters) = self.meters.clone() {
            waiting += in_thread(&done, move || meters.shutdown_with_timeout(within));
        }
        drop(done);
        let deadline = Instant::now() + within;
        (0..waiting).all(|_| {
            let left = deadline.saturating_duration_since(Instant::now());
            finished.recv_timeout(left).unwrap_or(false)
        })
    }
}

/// Does this elsewhere and tells whether it succeeded. Returns how many answers are to be waited for.
fn in_thread(done: &mpsc::Sender<bool>, shut_down: impl FnOnce() -> OTelSdkResult + Send + 'static) -> usize {
    let done = done.clone();
    let work = move || {
        let _ = done.send(shut_down().is_ok());
    };
    thread::Builder::new().name(NAME.to_owned()).spawn(work).map_or(0, |_| 1)
}

/// A thread that carries the connections with the collector until the other end of `ended` is dropped.
fn connections(ended: oneshot::Receiver<()>) -> Result<runtime::Handle, TelemetryError> {
    let runtime = runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(TelemetryError::Thread)?;
    let handle = runtime.handle().clone();
    let carry = move || {
        // What it does itself is nobody's telemetry.
        let _suppressed = Context::enter_telemetry_suppressed_scope();
        let _ = runtime.block_on(ended);
        runtime.shutdown_background();
    };
    thread::Builder::new().name(NAME.to_owned()).spawn(carry).map_err(TelemetryError::Thread)?;
    Ok(handle)
}

fn tracers(settings: &TelemetryBuilder) -> Result<SdkTracerProvider, TelemetryError> {
    let exporter = configured(SpanExporter::builder().with_tonic(), settings).build()?;
    Ok(SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(settings.resource()).build())
}

fn meters(settings: &TelemetryBuilder) -> Result<SdkMeterProvider, TelemetryError> {
    let exporter = configured(MetricExporter::builder().with_tonic(), settings).build()?;
    let mut reader = PeriodicReader::builder(exporter);
    if let Some(interval) = settings.metrics_every {
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

/// Who measures, for the collector; and the name of the threads.
const NAME: &str = "rpcplugin-otel";
