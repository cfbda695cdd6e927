//! Spans and metrics of hosts and plugins, exported over OTLP to an OpenTelemetry collector.
//!
//! One [`Telemetry`] for a process. Its settings are OpenTelemetry's own, `OTEL_EXPORTER_OTLP_ENDPOINT` and the others,
//! or come from [`Telemetry::builder`].
//!
//! # A plugin
//!
//! ```no_run
//! # use rpcplugin_otel::{Telemetry, TelemetryError};
//! # #[cfg(feature = "server")]
//! # fn example(serve: rpcplugin_server::Serve) -> Result<std::process::ExitCode, TelemetryError> {
//! let telemetry = Telemetry::builder().service_name("kv-plugin").build()?;
//! Ok(telemetry.serve(serve).main()) // what is left is sent when `telemetry` is dropped
//! # }
//! ```
//!
//! # A host
//!
//! ```no_run
//! # use rpcplugin_otel::{Telemetry, TelemetryError};
//! # use tracing_subscriber::{layer::SubscriberExt as _, Registry};
//! # #[cfg(feature = "client")]
//! # async fn example(
//! #     host: rpcplugin_client::Host,
//! #     command: rpcplugin_client::Command,
//! # ) -> Result<(), Box<dyn std::error::Error>> {
//! let telemetry = Telemetry::from_env()?;
//! tracing::subscriber::set_global_default(Registry::default().with(telemetry.layer()))?;
//!
//! let host = telemetry.host(host);
//! let plugin = host.launch(command).await?;
//! let channel = plugin.channel_with(&telemetry.calls()); // for the generated client
//! // … call it …
//! plugin.shut_down().await;
//! telemetry.shut_down().await;
//! # Ok(()) }
//! ```
//!
//! A call that the host makes upon such a channel is a span there; the plugin's span of the same call is its child, and
//! so is what the plugin calls in its turn. The metrics have the names of OpenTelemetry's conventions for RPC where
//! there are any, and `rpcplugin.*` else.
//!
//! # A collector that is away
//!
//! It holds nobody up. Spans and metrics are sent by threads of this crate, and what cannot be sent is dropped. At the
//! end, what is left is given [a bounded time](TelemetryBuilder::flush_within).

mod calls;
mod error;
#[cfg(feature = "client")]
mod host;
mod metrics;
mod pipeline;
#[cfg(feature = "server")]
mod plugin;
mod remote;
mod settings;
mod telemetry;
mod traffic;

pub use calls::{CallBody, CallFuture, InstrumentCalls, InstrumentServices, Instrumented};
pub use error::TelemetryError;
pub use settings::TelemetryBuilder;
pub use telemetry::Telemetry;
