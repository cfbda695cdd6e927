//! Why there is no telemetry.

use std::io;

use miette::Diagnostic;
use opentelemetry_otlp::ExporterBuildError;

/// Telemetry cannot be set up. A collector that is away is no reason.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[non_exhaustive]
pub enum TelemetryError {
    /// A variable asks for what this library cannot do.
    #[error("{variable} is {value:?}, and can only be {allowed}")]
    #[diagnostic(
        code(rpcplugin::config::telemetry_setting),
        help("set the variable to one of the values that are allowed, or remove it")
    )]
    Setting {
        /// The variable.
        variable: &'static str,
        /// What it is.
        value: String,
        /// What it may be.
        allowed: &'static str,
    },
    /// The settings of the exporter make no sense.
    #[error("the OTLP exporter cannot be set up")]
    #[diagnostic(
        code(rpcplugin::config::telemetry_exporter),
        help("the endpoint is that of a collector's OTLP receiver for gRPC, such as http://localhost:4317")
    )]
    Exporter(#[from] ExporterBuildError),
    /// The system refuses a thread.
    #[error("the thread that exports telemetry cannot be started")]
    #[diagnostic(
        code(rpcplugin::base::telemetry_thread),
        help("raise the limits on threads and open files of this process")
    )]
    Thread(#[source] io::Error),
}
