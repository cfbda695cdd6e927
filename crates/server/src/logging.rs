//! The plugin's own log: hclog records on the real stderr, where every go-plugin host looks for them.

use std::io;

use rpcplugin_config::LogLevel;
use rpcplugin_hclog::{HclogLayer, Level, MaxLevel, Record};
use tracing::{Dispatch, Metadata, dispatcher, level_filters::LevelFilter};
use tracing_subscriber::{
    Layer, Registry,
    filter::{FilterExt as _, filter_fn},
    layer::SubscriberExt as _,
};

use crate::{life, real_stderr::RealStderr};

/// A layer for a subscriber of the plugin's own that writes hclog records to the real stderr.
///
/// A plugin that sets no subscriber gets one with this layer when it serves.
///
/// # Errors
/// When the process is out of file descriptors.
pub fn hclog_layer() -> io::Result<HclogLayer<RealStderr>> {
    RealStderr::get().map(HclogLayer::new)
}

/// What a configured level lets through.
pub(crate) fn filter(level: LogLevel) -> LevelFilter {
    match level {
        LogLevel::Trace => LevelFilter::TRACE,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Error => LevelFilter::ERROR,
        _ => LevelFilter::INFO,
    }
}

/// A layer that the plugin brings along.
pub(crate) type SubscriberLayer = Box<dyn Layer<Registry> + Send + Sync>;

/// Sets up a subscriber and a panic hook, unless the plugin has a subscriber already.
pub(crate) fn init(level: MaxLevel, others: Vec<SubscriberLayer>) -> io::Result<()> {
    // Fails when the plugin has set its own, which is as it should be.
    let _ = dispatcher::set_global_default(subscriber(hclog_layer()?, level, others));
    report_panics(RealStderr::get()?);
    Ok(())
}

fn subscriber(log: HclogLayer<RealStderr>, level: MaxLevel, others: Vec<SubscriberLayer>) -> Dispatch {
    // One filter. Of two, one around the other, tracing would take each for another layer's, and ask both again at
    // every frame of HTTP/2, which doubles what a call costs at trace.
    let worth = filter_fn(is_worth_a_record).with_max_level_hint(LevelFilter::TRACE);
    let log = log.with_filter(level.and(worth));
    // Nothing else, not even a layer that does nothing, may stand beside a filtered layer: the filter would no longer keep
    // the libraries below from making a span for every frame, which is as much work as the whole call.
    if others.is_empty() {
        return tracing_subscriber::registry().with(log).into();
    }
    let mut layers = others;
    layers.push(log.boxed());
    tracing_subscriber::registry().with(layers).into()
}

/// Whether a host may want to see this: not every frame of HTTP/2, which is what the libraries below tell at trace and
/// debug, a hundred records for each call, and not which plugin it is at each of them. Somebody who looks for a fault in
/// them sets a subscriber of their own.
fn is_worth_a_record(event: &Metadata<'_>) -> bool {
    let library = event.target().split("::").next().unwrap_or_default();
    !life::is(event)
        && library != FOR_COLLECTORS
        && (*event.level() <= tracing::Level::INFO || !BELOW.contains(&library))
}

/// The spans of calls that a collector gets. The log has spans of its own for them, which name the trace.
const FOR_COLLECTORS: &str = "rpcplugin_otel";

/// The libraries on which this one stands.
const BELOW: [&str; 8] = ["h2", "hyper", "hyper_util", "mio", "rustls", "tokio_rustls", "tonic", "tower"];

/// Makes a panic one record at error level, instead of lines that a host takes for debugging output.
fn report_panics(stderr: RealStderr) {
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
            // Where panics abort, nothing else will run any more.
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

    /// One test: the greatest level of all subscribers of a process is what call sites look at first.
    #[test]
    fn frames_of_the_libraries_below_cost_nothing() {
        dispatcher::with_default(&at_info(Vec::new()), || {
            assert!(enabled!(Level::INFO));
            assert!(!span_enabled!(target: "h2::codec", Level::TRACE));
            assert_eq!(LevelFilter::current(), LevelFilter::INFO, "every frame is a question to the filters");
        });
        let other = tracing_subscriber::layer::Identity::new().with_filter(LevelFilter::DEBUG).boxed();
        dispatcher::with_default(&at_info(vec![other]), || {
            assert!(enabled!(Level::DEBUG), "the other layer is asked too");
            assert!(!span_enabled!(target: "h2::codec", Level::TRACE));
            assert_eq!(
                LevelFilter::current(),
                LevelFilter::DEBUG,
                "every frame is a question to the filters"
            );
        });
    }
}
