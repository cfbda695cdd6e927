//! The plugin's own log: hclog records on the original stderr, where every go-plugin host reads them.

use std::{
    backtrace::{Backtrace, BacktraceStatus},
    io,
    panic::PanicHookInfo,
    thread,
};

use rpcplugin_config::LogLevel;
use rpcplugin_hclog::{HclogLayer, Level, MaxLevel, Record, Sink as _};
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

/// The form in which a panic is written to the original stderr.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum PanicOutput {
    /// One hclog record at error level, with the thread, the location and the backtrace as fields.
    #[default]
    Record,
    /// Text as Go prints a panic, with `panic: ` and the message in the first line. Some hosts search the text on stderr for such a
    /// panic, and show it to their users.
    ///
    /// # Protocol
    /// hashicorp/terraform `internal/logging/panic.go`: Terraform and OpenTofu print the text as the trace of the provider if a
    /// command fails. OpenTofu, and Terraform with a go-plugin before 1.7, ignore records.
    Text,
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
pub(crate) fn init(level: MaxLevel, others: Vec<SubscriberLayer>, panics: PanicOutput) -> io::Result<()> {
    // This fails if the plugin has set a subscriber, which then stays.
    let _ = dispatcher::set_global_default(subscriber(hclog_layer()?, level, others));
    report_panics(OriginalStderr::get()?, panics);
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

/// Writes panics to the log. Without this, a host takes the lines of a panic for debugging output.
fn report_panics(stderr: OriginalStderr, output: PanicOutput) {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        std::panic::set_hook(Box::new(move |panic| {
            let panic = PanicFacts::of(panic);
            match output {
                PanicOutput::Record => panic.record().write_to(&stderr),
                PanicOutput::Text => stderr.write_line(panic.text().as_bytes()),
            }
            // If panics abort, no other code runs after this.
            if cfg!(panic = "abort") {
                rpcplugin_transport::remove_sockets();
            }
        }));
    });
}

/// What is known of a panic.
struct PanicFacts {
    message: String,
    thread: String,
    location: Option<String>,
    backtrace: Option<String>,
}

impl PanicFacts {
    fn of(panic: &PanicHookInfo<'_>) -> Self {
        let payload = panic.payload();
        let message = payload
            .downcast_ref::<&str>()
            .copied()
            .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
            .unwrap_or("no message");
        let backtrace = Backtrace::capture();
        Self {
            message: message.to_owned(),
            thread: thread::current().name().unwrap_or("unnamed").to_owned(),
            location: panic.location().map(ToString::to_string),
            backtrace: (backtrace.status() == BacktraceStatus::Captured).then(|| backtrace.to_string()),
        }
    }

    fn record(self) -> Record {
        let mut record =
            Record::new(Level::Error, format!("panic: {}", self.message)).with_field("thread", self.thread);
        if let Some(location) = self.location {
            record = record.with_field("location", location);
        }
        if let Some(backtrace) = self.backtrace {
            record = record.with_field("backtrace", backtrace);
        }
        record
    }

    /// Returns the text in the order of Go: the message, an empty line, the thread, and the calls.
    fn text(&self) -> String {
        let mut text = format!("panic: {}\n\nthread {}", self.message, self.thread);
        if let Some(location) = &self.location {
            text.push_str(" at ");
            text.push_str(location);
        }
        text.push_str(":\n");
        if let Some(backtrace) = &self.backtrace {
            text.push_str(backtrace.trim_end());
            text.push('\n');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use tracing::{Level, enabled, span_enabled};

    use super::*;

    fn at_info(others: Vec<SubscriberLayer>) -> Dispatch {
        let level = MaxLevel::new(LevelFilter::INFO);
        subscriber(hclog_layer().expect("there are descriptors"), level, others)
    }

    #[test]
    fn the_text_of_a_panic_begins_as_the_text_of_go_does() {
        let mut panic = PanicFacts {
            message: "at the disco".to_owned(),
            thread: "main".to_owned(),
            location: None,
            backtrace: None,
        };
        assert_eq!(panic.text(), "panic: at the disco\n\nthread main:\n");
        panic.location = Some("src/main.rs:1:2".to_owned());
        panic.backtrace = Some("   0: main\n".to_owned());
        assert_eq!(panic.text(), "panic: at the disco\n\nthread main at src/main.rs:1:2:\n   0: main\n");
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
