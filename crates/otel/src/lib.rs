//! Spans and metrics of hosts and plugins, exported over OTLP to an OpenTelemetry collector.
//!
//! A process has one [`Telemetry`]. Its settings are OpenTelemetry's variables, such as `OTEL_EXPORTER_OTLP_ENDPOINT`, or those
//! of [`Telemetry::builder`].
//!
//! # A plugin
//!
//! ```no_run
//! # use rpcplugin_otel::{Telemetry, TelemetryError};
//! # #[cfg(feature = "server")]
//! # fn example(serve: rpcplugin_server::Serve) -> Result<std::process::ExitCode, TelemetryError> {
//! let telemetry = Telemetry::builder().service_name("kv-plugin").build()?;
//! Ok(telemetry.serve(serve).main()) // the rest is sent when `telemetry` is dropped
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
//! A call on this channel makes a span in the host. The plugin's span of the same call is a child of the host's span, and the
//! plugin's own calls are children of the plugin's span. Metrics have the names of OpenTelemetry's conventions for RPC. If
//! there is no convention, their names begin with `rpcplugin.`.
//!
//! # A collector that cannot be reached
//!
//! The program does not wait for the collector. Threads of this crate send spans and metrics, and drop what cannot be sent.
//! At the end they have [a bounded time](TelemetryBuilder::flush_timeout) for the rest.
//!
//! The crate can be used alone, without a promise: its API may change with any release. The stable names of its items are in
//! `rpcplugin::telemetry`.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod calls;
mod error;
#[cfg(feature = "client")]
mod host;
mod metrics;
mod pipeline;
#[cfg(feature = "server")]
mod plugin;
mod propagation;
mod rpc;
mod settings;
mod telemetry;
mod traffic;

pub use calls::{CallBody, CallFuture, InstrumentCalls, InstrumentServices, Instrumented};
pub use error::TelemetryError;
pub use settings::TelemetryBuilder;
pub use telemetry::Telemetry;
