//! What telemetry is set up with.

use std::{ffi::OsString, time::Duration};

use opentelemetry::KeyValue;
use opentelemetry_sdk::Resource;
use tracing::level_filters::LevelFilter;

use crate::{error::TelemetryError, telemetry::Telemetry};

/// Settings of telemetry. What is set here wins over OpenTelemetry's variables, and those over the defaults.
#[derive(Debug, Clone)]
#[must_use = "nothing is set up before `build`"]
pub struct TelemetryBuilder {
    pub(crate) service_name: Option<String>,
    pub(crate) attributes: Vec<KeyValue>,
    pub(crate) endpoint: Option<String>,
    pub(crate) export_timeout: Option<Duration>,
    pub(crate) metrics_every: Option<Duration>,
    pub(crate) flush_within: Duration,
    pub(crate) level: LevelFilter,
}

/// What is exported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Signals {
    pub(crate) traces: bool,
    pub(crate) metrics: bool,
}

impl TelemetryBuilder {
    pub(crate) fn new() -> Self {
        Self {
            service_name: None,
            attributes: Vec::new(),
            endpoint: None,
            export_timeout: None,
            metrics_every: None,
            flush_within: Duration::from_secs(1),
            level: LevelFilter::INFO,
        }
    }

    /// The name of this program in traces and metrics. Default: `OTEL_SERVICE_NAME`, or `unknown_service` with the
    /// program's name.
    ///
    /// A plugin should set it: it inherits the variables of its host, and with them the host's name.
    pub fn service_name(mut self, name: impl Into<String>) -> Self {
        self.service_name = Some(name.into());
        self
    }

    /// Adds an attribute of this program, such as `deployment.environment.name`, to those of `OTEL_RESOURCE_ATTRIBUTES`.
    pub fn attribute(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.attributes.push(KeyValue::new(key.into(), value.into()));
        self
    }

    /// The collector's OTLP receiver for gRPC, without TLS. Default: `OTEL_EXPORTER_OTLP_ENDPOINT` and its variants for
    /// single signals, or `http://localhost:4317`.
    pub fn endpoint(mut self, endpoint: impl Into<String>) -> Self {
        self.endpoint = Some(endpoint.into());
        self
    }

    /// How long the collector may take to accept one batch. Default: `OTEL_EXPORTER_OTLP_TIMEOUT`, or 10 s. What it does
    /// not accept is dropped.
    pub fn export_timeout(mut self, timeout: Duration) -> Self {
        self.export_timeout = Some(timeout);
        self
    }

    /// How often metrics are sent. Default: `OTEL_METRIC_EXPORT_INTERVAL`, or 60 s. They are sent at the end too.
    pub fn metrics_every(mut self, interval: Duration) -> Self {
        self.metrics_every = Some(interval);
        self
    }

    /// How long the end may be held up to send what is left. Default 1 s, half of what a host waits for a plugin that
    /// ends; zero sends nothing more.
    pub fn flush_within(mut self, most: Duration) -> Self {
        self.flush_within = most;
        self
    }

    /// Up to which level the program's own spans, and the events in them, are exported. Default `INFO`. Those of this
    /// library are exported up to `DEBUG` in any case.
    pub fn level(mut self, level: LevelFilter) -> Self {
        self.level = level;
        self
    }

    /// Sets everything up. Exports begin at once, in threads of their own; no connection is waited for.
    ///
    /// `OTEL_SDK_DISABLED=true` makes a [`Telemetry`] that does nothing; `OTEL_TRACES_EXPORTER=none` and
    /// `OTEL_METRICS_EXPORTER=none` switch off one signal.
    ///
    /// # Errors
    /// [`TelemetryError`] for settings that make no sense. A collector that is away is no error.
    pub fn build(self) -> Result<Telemetry, TelemetryError> {
        let signals = signals(environment)?;
        Telemetry::new(&self, signals)
    }

    pub(crate) fn resource(&self) -> Resource {
        // The detectors behind `builder` read OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES.
        let resource = Resource::builder().with_attributes(self.attributes.iter().cloned());
        match &self.service_name {
            Some(name) => resource.with_service_name(name.clone()),
            None => resource,
        }
        .build()
    }
}

/// Which signals these variables ask for. OpenTelemetry's SDK for Rust leaves these to the program.
fn signals(variable: impl Fn(&str) -> Option<OsString>) -> Result<Signals, TelemetryError> {
    let read = |name| variable(name).map(|value| value.to_string_lossy().trim().to_ascii_lowercase());
    if read("OTEL_SDK_DISABLED").is_some_and(|value| value == "true") {
        return Ok(Signals { traces: false, metrics: false });
    }
    for name in PROTOCOLS {
        only(name, read(name), &["grpc"], "grpc")?;
    }
    let exports = |name| match only(name, read(name), &["otlp", "none"], "otlp or none") {
        Ok(value) => Ok(value.is_none_or(|value| value == "otlp")),
        Err(error) => Err(error),
    };
    Ok(Signals { traces: exports("OTEL_TRACES_EXPORTER")?, metrics: exports("OTEL_METRICS_EXPORTER")? })
}

/// The value, if it is set and not empty, which OpenTelemetry takes for not set.
fn only(
    variable: &'static str,
    value: Option<String>,
    values: &[&str],
    allowed: &'static str,
) -> Result<Option<String>, TelemetryError> {
    match value.filter(|value| !value.is_empty()) {
        Some(value) if !values.contains(&value.as_str()) => {
            Err(TelemetryError::Setting { variable, value, allowed })
        }
        value => Ok(value),
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "OpenTelemetry's variables are the process's own, and its SDK reads the others there"
)]
fn environment(name: &str) -> Option<OsString> {
    std::env::var_os(name)
}

const PROTOCOLS: [&str; 3] = [
    "OTEL_EXPORTER_OTLP_PROTOCOL",
    "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
    "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn given(variables: &[(&str, &str)]) -> Result<Signals, TelemetryError> {
        let find = |name: &str| variables.iter().find(|(known, _)| *known == name);
        signals(|name| find(name).map(|(_, value)| value.into()))
    }

    #[test]
    fn signals_are_switched_off_by_opentelemetrys_variables() {
        let both = Signals { traces: true, metrics: true };
        assert_eq!(given(&[]).unwrap(), both);
        assert_eq!(given(&[("OTEL_TRACES_EXPORTER", ""), ("OTEL_SDK_DISABLED", "false")]).unwrap(), both);
        assert_eq!(given(&[("OTEL_TRACES_EXPORTER", "None")]).unwrap(), Signals { traces: false, ..both });
        assert_eq!(given(&[("OTEL_METRICS_EXPORTER", "none")]).unwrap(), Signals { metrics: false, ..both });
        let neither = Signals { traces: false, metrics: false };
        assert_eq!(given(&[("OTEL_SDK_DISABLED", "TRUE")]).unwrap(), neither);
    }

    #[test]
    fn what_cannot_be_done_is_refused() {
        for (name, value) in [
            ("OTEL_TRACES_EXPORTER", "zipkin"),
            ("OTEL_METRICS_EXPORTER", "prometheus"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
        ] {
            let error = given(&[(name, value)]).unwrap_err();
            assert!(matches!(error, TelemetryError::Setting { variable, .. } if variable == name), "{error}");
        }
    }

    #[test]
    fn an_endpoint_that_makes_no_sense_is_refused() {
        let error = TelemetryBuilder::new().endpoint("not an address").build().unwrap_err();
        assert!(matches!(error, TelemetryError::Exporter(_)), "{error}");
    }
}
