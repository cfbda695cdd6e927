//! `TelemetryError`: why telemetry cannot be set up.

use std::io;

use miette::Diagnostic;
use opentelemetry_otlp::ExporterBuildError;

/// Telemetry cannot be set up. A collector that cannot be reached is not an error.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[non_exhaustive]
pub enum TelemetryError {
    /// A variable has a value that this library does not support.
    #[error("{variable} is {value:?}, but must be {allowed}")]
    #[diagnostic(
        code(rpcplugin::config::telemetry_setting),
        help("set {variable} to {allowed}, or unset it")
    )]
    Setting {
        /// The variable.
        variable: &'static str,
        /// Its value.
        value: String,
        /// The allowed values.
        allowed: &'static str,
    },
    /// The settings of the exporter are invalid.
    #[error("the OTLP exporter cannot be set up")]
    #[diagnostic(
        code(rpcplugin::config::telemetry_exporter),
        help(
            "set OTEL_EXPORTER_OTLP_ENDPOINT to the URL of a collector's OTLP receiver for gRPC, such as http://localhost:4317"
        )
    )]
    Exporter(#[from] ExporterBuildError),
    /// The thread cannot be started.
    #[error("the thread that exports telemetry cannot be started")]
    #[diagnostic(
        code(rpcplugin::base::telemetry_thread),
        help("raise the limits on threads and open files of this process")
    )]
    Thread(#[source] io::Error),
}
