//! The plugin's own log: hclog records on the original stderr, where every go-plugin host reads them.

use std::io;

use rpcplugin_config::LogLevel;
use rpcplugin_hclog::{HclogLayer, Level, MaxLevel, Record};
use tracing::{Dispatch, Metadata, dispatcher, level_filters::LevelFilter};
use tracing_subscriber::{
    Layer, Registry,
    filter::{FilterExt as _, filter_fn},
    layer::SubscriberExt as _,
};

use crate::{span, stdio::OriginalStderr};

/// Returns a layer that writes hclog records to the original stderr, for a plugin that sets its own subscriber.
///
/// If the plugin sets no subscriber, [`Serve::run`](crate::Serve::run) sets one with this layer.
///
/// # Errors
/// When the process is out of file descriptors.
pub fn hclog_layer() -> io::Result<HclogLayer<OriginalStderr>> {
    OriginalStderr::get().map(HclogLayer::new)
}

/// Converts a configured level to a filter.
pub(crate) fn filter(level: LogLevel) -> LevelFilter {
    match level {
        LogLevel::Trace => LevelFilter::TRACE,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Error => LevelFilter::ERROR,
        _ => LevelFilter::INFO,
    }
}

/// A further layer for the subscriber.
pub(crate) type SubscriberLayer = Box<dyn Layer<Registry> + Send + Sync>;

/// Sets a panic hook, and a subscriber if the plugin has none.
pub(crate) fn init(level: MaxLevel, others: Vec<SubscriberLayer>) -> io::Result<()> {
    // This fails if the plugin has set a subscriber, which then stays.
    let _ = dispatcher::set_global_default(subscriber(hclog_layer()?, level, others));
    report_panics(OriginalStderr::get()?);
    Ok(())
}

fn subscriber(log: HclogLayer<OriginalStderr>, level: MaxLevel, others: Vec<SubscriberLayer>) -> Dispatch {
    // One filter with both conditions. tracing evaluates nested filters again for every HTTP/2 frame, which doubles the
    // cost of a call at level trace.
    let belongs = filter_fn(belongs_in_log).with_max_level_hint(LevelFilter::TRACE);
    let log = log.with_filter(level.and(belongs));
    // No other layer may stand beside a filtered layer, not even a layer that does nothing: the HTTP/2 libraries would then
    // make a span for every frame, which costs as much as the whole call.
    if others.is_empty() {
        return tracing_subscriber::registry().with(log).into();
    }
    let mut layers = others;
    layers.push(log.boxed());
    tracing_subscriber::registry().with(layers).into()
}

/// Whether a span or event belongs in the plugin's log.
///
/// The log omits the span of the plugin, and what the HTTP/2 libraries log at debug and trace: about a hundred records for
/// each call. To debug those libraries, set another subscriber.
fn belongs_in_log(event: &Metadata<'_>) -> bool {
    let library = event.target().split("::").next().unwrap_or_default();
    !span::is_plugin(event)
        && library != COLLECTOR_TARGET
        && (*event.level() <= tracing::Level::INFO || !HTTP2_LIBRARIES.contains(&library))
}

/// The target of the spans that are made for a collector. The log has other spans for the same calls, with the trace id.
const COLLECTOR_TARGET: &str = "rpcplugin_otel";

/// The libraries that carry calls.
const HTTP2_LIBRARIES: [&str; 8] =
    ["h2", "hyper", "hyper_util", "mio", "rustls", "tokio_rustls", "tonic", "tower"];

/// Logs a panic as one record at error level. Without this, a host takes the lines of a panic for debugging output.
fn report_panics(stderr: OriginalStderr) {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        std::panic::set_hook(Box::new(move |panic| {
            let payload = panic.payload();
            let message = payload
                .downcast_ref::<&str>()
                .copied()
                .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
                .unwrap_or("no message");
            let thread = std::thread::current();
            let mut record = Record::new(Level::Error, format!("panic: {message}"))
                .with_field("thread", thread.name().unwrap_or("unnamed"));
            if let Some(location) = panic.location() {
                record = record.with_field("location", location.to_string());
            }
            let backtrace = std::backtrace::Backtrace::capture();
            if backtrace.status() == std::backtrace::BacktraceStatus::Captured {
                record = record.with_field("backtrace", backtrace.to_string());
            }
            record.write_to(&stderr);
            // If panics abort, no other code runs after this.
            if cfg!(panic = "abort") {
                rpcplugin_transport::remove_sockets();
            }
        }));
    });
}

#[cfg(test)]
mod tests {
    use tracing::{Level, enabled, span_enabled};

    use super::*;

    fn at_info(others: Vec<SubscriberLayer>) -> Dispatch {
        let level = MaxLevel::new(LevelFilter::INFO);
        subscriber(hclog_layer().expect("there are descriptors"), level, others)
    }

    /// One test for both cases: call sites first check the greatest level of all subscribers of the process.
    #[test]
    fn frames_of_http2_cost_nothing() {
        dispatcher::with_default(&at_info(Vec::new()), || {
            assert!(enabled!(Level::INFO));
            assert!(!span_enabled!(target: "h2::codec", Level::TRACE));
            assert_eq!(
                LevelFilter::current(),
                LevelFilter::INFO,
                "the filters are evaluated for every frame"
            );
        });
        let other = tracing_subscriber::layer::Identity::new().with_filter(LevelFilter::DEBUG).boxed();
        dispatcher::with_default(&at_info(vec![other]), || {
            assert!(enabled!(Level::DEBUG), "the other layer is enabled");
            assert!(!span_enabled!(target: "h2::codec", Level::TRACE));
            assert_eq!(
                LevelFilter::current(),
                LevelFilter::DEBUG,
                "the filters are evaluated for every frame"
            );
        });
    }
}
