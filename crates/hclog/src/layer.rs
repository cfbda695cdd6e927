//! A `tracing_subscriber` layer that writes every event as one hclog line.

mod json;
mod max_level;
mod span_fields;
mod value;

use std::cell::Cell;
use std::fmt;
use std::io::Write as _;
use std::time::SystemTime;

use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use self::span_fields::SpanFields;
use self::value::{FieldVisitor, Value};
use crate::encode::{self, Head};
use crate::sink::{self, Sink};

pub use self::json::Json;
pub use self::max_level::MaxLevel;

/// Writes each event as one line of hclog JSON, with one call of its [`Sink`].
///
/// - `@message` is the event's message, or empty without one.
/// - `@module` is the event's field `module` or `@module`. Without such a field it is the name that
///   [`with_module`](Self::with_module) sets, and without that the event's target.
/// - Each other field is a member. Booleans, integers and finite floats stay what they are. An error is its message and
///   those of its causes, joined by `: `. [`Json`] is nested JSON. Every other value is a string.
/// - The fields of the spans around the event are included. An inner span takes precedence over an outer one, and the event
///   over all spans.
/// - A field with a name of the format (`@level` and so on) is written as `field.level` and so on.
///
/// The layer writes all events that reach it. A [`MaxLevel`] filters them with [`Layer::with_filter`]:
///
/// ```
/// use std::sync::{Arc, Mutex};
/// use rpcplugin_hclog::{HclogLayer, Json, MaxLevel};
/// use tracing::level_filters::LevelFilter;
/// use tracing_subscriber::prelude::*;
///
/// let lines = Arc::new(Mutex::new(Vec::new()));
/// let level = MaxLevel::new(LevelFilter::INFO);
/// let layer = HclogLayer::new(Arc::clone(&lines)).with_filter(level.clone());
/// tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
///     tracing::info!(answer = 42, nested = %Json([1, 2]), "configured");
///     tracing::debug!("not written");
///     level.set(LevelFilter::DEBUG);
///     tracing::debug!("written");
/// });
/// let lines = String::from_utf8(lines.lock().unwrap().clone()).unwrap();
/// assert!(lines.lines().next().unwrap().ends_with(r#""answer":42,"nested":[1,2]}"#));
/// assert_eq!(lines.lines().count(), 2);
/// ```
///
/// The layer does not fail: a line that cannot be written is lost. An event that the sink causes is dropped.
///
/// # Protocol
/// hclog v1.6.3 with `JSONFormat`, as the host of go-plugin v1.8.0 reads it. A host in Go shows lines of 64 KiB and more in
/// pieces at debug level.
pub struct HclogLayer<K> {
    sink: K,
    module: Option<Box<str>>,
    caller: bool,
}

impl<K: Sink> HclogLayer<K> {
    /// Makes a layer that writes to `sink`, with targets as modules and without callers.
    #[must_use]
    pub fn new(sink: K) -> Self {
        Self { sink, module: None, caller: false }
    }

    /// Sets the `@module` of events that have no field `module`, instead of their targets.
    #[must_use]
    pub fn with_module(mut self, module: impl Into<Box<str>>) -> Self {
        self.module = Some(module.into());
        self
    }

    /// Adds `@caller`, the `file:line` of the event in the source. Default: off, because it contains paths of the machine
    /// that compiled the plugin.
    #[must_use]
    pub fn with_caller(mut self) -> Self {
        self.caller = true;
        self
    }

    fn write<S>(&self, buffers: &mut EventBuffers, event: &Event<'_>, ctx: &Context<'_, S>)
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        let metadata = event.metadata();
        buffers.clear();
        buffers.take_event(event);
        for span in ctx.event_scope(event).into_iter().flatten() {
            if let Some(fields) = span.extensions().get::<SpanFields>() {
                buffers.take_span(fields);
            }
        }
        if !buffers.has_module {
            encode::push_escaped(
                &mut buffers.module,
                self.module.as_deref().unwrap_or_else(|| metadata.target()),
            );
        }
        let caller = self.caller && buffers.find_caller(metadata);
        let EventBuffers { line, members, message, module, caller: place, .. } = buffers;
        let head = Head {
            level: (*metadata.level()).into(),
            message,
            module: Some(module),
            time: SystemTime::now(),
            caller: caller.then_some(place),
        };
        encode::push_line(line, &head, members);
        sink::deliver(&self.sink, line);
    }
}

impl<K> fmt::Debug for HclogLayer<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HclogLayer")
            .field("module", &self.module)
            .field("caller", &self.caller)
            .finish_non_exhaustive()
    }
}

impl<S, K> Layer<S> for HclogLayer<K>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    K: Sink,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, ctx: Context<'_, S>) {
        let Some(span) = ctx.span(id) else { return };
        let mut fields = SpanFields::default();
        attributes.record(&mut FieldVisitor(|name, value: Value<'_>| fields.set(name, &value)));
        // A second layer of this type finds the same fields.
        span.extensions_mut().replace(fields);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, ctx: Context<'_, S>) {
        let Some(span) = ctx.span(id) else { return };
        // Values are formatted before the span is locked, because the code that formats them may log.
        let mut fields = SpanFields::default();
        values.record(&mut FieldVisitor(|name, value: Value<'_>| fields.set(name, &value)));
        let mut extensions = span.extensions_mut();
        match extensions.get_mut::<SpanFields>() {
            Some(known) => known.merge(fields),
            None => extensions.insert(fields),
        }
    }

    fn on_event(&self, event: &Event<'_>, ctx: Context<'_, S>) {
        let mut buffers = BUFFERS.try_with(Cell::take).ok().flatten().unwrap_or_default();
        self.write(&mut buffers, event, &ctx);
        if buffers.line.capacity() <= KEPT_CAPACITY {
            let _ = BUFFERS.try_with(|kept| kept.set(Some(buffers)));
        }
    }
}

/// The buffers for one event. Each thread keeps them for its next event.
#[derive(Default)]
struct EventBuffers {
    line: Vec<u8>,
    members: Vec<u8>,
    /// The names in `members`.
    names: Vec<&'static str>,
    /// The texts of JSON strings without quotes, like the next two.
    message: Vec<u8>,
    module: Vec<u8>,
    caller: Vec<u8>,
    has_module: bool,
    log_line: Option<u64>,
}

impl EventBuffers {
    fn clear(&mut self) {
        for buffer in
            [&mut self.line, &mut self.members, &mut self.message, &mut self.module, &mut self.caller]
        {
            buffer.clear();
        }
        self.names.clear();
        self.has_module = false;
        self.log_line = None;
    }

    fn take_event(&mut self, event: &Event<'_>) {
        let from_log = event.metadata().target() == "log";
        event.record(&mut FieldVisitor(|name, value: Value<'_>| match name {
            "message" => {
                self.message.clear();
                value.push_text(&mut self.message);
            }
            "module" | "@module" => self.set_module(&value),
            // tracing-log adds these to the records of the `log` crate. They describe the event.
            "log.target" if from_log => self.set_module(&value),
            "log.file" if from_log => {
                self.caller.clear();
                value.push_text(&mut self.caller);
            }
            "log.line" if from_log => self.log_line = value.as_u64(),
            "log.module_path" if from_log => {}
            _ => {
                if self.claim(name) {
                    value.push_json(&mut self.members);
                }
            }
        }));
    }

    fn take_span(&mut self, fields: &SpanFields) {
        for (name, json) in fields.iter() {
            if self.claim(name) {
                self.members.extend_from_slice(json);
            }
        }
    }

    /// Begins a member, unless there is a member of this name.
    fn claim(&mut self, name: &'static str) -> bool {
        let name = encode::field_name(name);
        if self.names.contains(&name) {
            return false;
        }
        self.names.push(name);
        encode::push_name(&mut self.members, name);
        true
    }

    fn set_module(&mut self, value: &Value<'_>) {
        self.module.clear();
        value.push_text(&mut self.module);
        self.has_module = true;
    }

    /// Writes the source position of the event to `caller`. Returns whether it is known.
    fn find_caller(&mut self, metadata: &Metadata<'_>) -> bool {
        if self.caller.is_empty() {
            let Some(file) = metadata.file() else { return false };
            encode::push_escaped(&mut self.caller, file);
            self.log_line = metadata.line().map(u64::from);
        }
        if let Some(line) = self.log_line {
            // Writing to a vector cannot fail.
            let _ = write!(self.caller, ":{line}");
        }
        true
    }
}

/// Buffers that have grown beyond this are not kept.
const KEPT_CAPACITY: usize = 64 * 1024;

thread_local! {
    /// Taken out while in use, so that an event within the formatting of another makes buffers of its own.
    static BUFFERS: Cell<Option<Box<EventBuffers>>> = const { Cell::new(None) };
}
