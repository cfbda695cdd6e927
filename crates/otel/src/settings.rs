//! The settings of telemetry.

use std::{ffi::OsString, time::Duration};

use opentelemetry::KeyValue;
use opentelemetry_sdk::Resource;
use tracing::level_filters::LevelFilter;

use crate::error::TelemetryError;

/// Settings of telemetry. A setting here replaces OpenTelemetry's variable, and a variable replaces the default.
#[derive(Debug, Clone)]
#[must_use = "nothing is set up before `build`"]
pub struct TelemetryBuilder {
    pub(crate) service_name: Option<String>,
    pub(crate) attributes: Vec<KeyValue>,
    pub(crate) endpoint: Option<String>,
    pub(crate) export_timeout: Option<Duration>,
    pub(crate) metrics_interval: Option<Duration>,
    pub(crate) flush_timeout: Duration,
    pub(crate) level: LevelFilter,
}

/// The signals that are exported.
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
            metrics_interval: None,
            flush_timeout: Duration::from_secs(1),
            level: LevelFilter::INFO,
        }
    }

    /// Sets the name of this program in traces and metrics. Default: `OTEL_SERVICE_NAME`, or `unknown_service` with the
    /// program's name.
    ///
    /// A plugin should set its name: otherwise it inherits the host's variables, with the host's name.
    pub fn service_name(mut self, name: impl Into<String>) -> Self {
        self.service_name = Some(name.into());
        self
    }

    /// Adds an attribute of this program, such as `deployment.environment.name`, to those of `OTEL_RESOURCE_ATTRIBUTES`.
    pub fn attribute(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.attributes.push(KeyValue::new(key.into(), value.into()));
        self
    }

    /// Sets the URL of the collector's OTLP receiver for gRPC, without TLS. Default: `OTEL_EXPORTER_OTLP_ENDPOINT` and its
    /// variants for single signals, or `http://localhost:4317`.
    pub fn endpoint(mut self, endpoint: impl Into<String>) -> Self {
        self.endpoint = Some(endpoint.into());
        self
    }

    /// Sets how long the collector may take to accept a batch. Default: `OTEL_EXPORTER_OTLP_TIMEOUT`, or 10 s. A batch that is
    /// not accepted is dropped.
    pub fn export_timeout(mut self, timeout: Duration) -> Self {
        self.export_timeout = Some(timeout);
        self
    }

    /// Sets how often metrics are sent. Default: `OTEL_METRIC_EXPORT_INTERVAL`, or 60 s. They are sent at the end too.
    pub fn metrics_interval(mut self, interval: Duration) -> Self {
        self.metrics_interval = Some(interval);
        self
    }

    /// Sets how long the end may wait until everything is sent. Default: 1 s, half of the time that a host waits for the end
    /// of a plugin. With zero, nothing is sent at the end.
    pub fn flush_timeout(mut self, timeout: Duration) -> Self {
        self.flush_timeout = timeout;
        self
    }

    /// Sets up to which level the program's own spans and events are exported. Default: `INFO`. Spans of this library are
    /// exported up to `DEBUG` in any case.
    pub fn level(mut self, level: LevelFilter) -> Self {
        self.level = level;
        self
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

/// Returns the signals that the variables of this process ask for.
pub(crate) fn signals_of_process() -> Result<Signals, TelemetryError> {
    signals(environment)
}

/// Returns the signals that these variables ask for. OpenTelemetry's SDK for Rust does not read them.
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

/// Returns the value if it is allowed. `None` if the variable is unset or empty, which means the same in OpenTelemetry.
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

#[expect(clippy::disallowed_methods, reason = "OpenTelemetry's SDK reads the environment of the process too")]
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
    fn an_unsupported_value_is_refused() {
        for (name, value) in [
            ("OTEL_TRACES_EXPORTER", "zipkin"),
            ("OTEL_METRICS_EXPORTER", "prometheus"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
        ] {
            let error = given(&[(name, value)]).unwrap_err();
            assert!(matches!(error, TelemetryError::Setting { variable, .. } if variable == name), "{error}");
        }
    }
}
