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
use self::value::{Each, Value};
use crate::encode::{self, Head};
use crate::sink::{self, Sink};

pub use self::json::Json;
pub use self::max_level::MaxLevel;

/// Writes each event as one line of hclog JSON, in one call of its [`Sink`].
///
/// - `@message` is the event's message, and empty without one.
/// - `@module` is the event's field `module` or `@module`, or else the name given to [`with_module`](Self::with_module),
///   or else the event's target.
/// - All other fields are members of their own: booleans, integers and floats as such (floats without a JSON form, such
///   as infinity, as strings), errors as their message and those of their causes joined by `: `, [`Json`] as
///   nested JSON, everything else as a string.
/// - Fields of the spans around the event are included; an inner span wins over an outer one, and the event over all.
/// - Fields that bear a name of the format (`@level` and so on) are written as `field.level` and so on.
///
/// The layer writes all events that reach it. Give it a [`MaxLevel`] with [`Layer::with_filter`] to choose:
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
/// Nothing here fails: a line that cannot be written is lost. An event that the sink itself causes is dropped.
///
/// # Protocol
/// hclog v1.6.3 with `JSONFormat`, as the host of go-plugin v1.8.0 reads it. A Go host shows lines of 64 KiB and more
/// in pieces at debug level.
pub struct HclogLayer<K> {
    sink: K,
    module: Option<Box<str>>,
    caller: bool,
}

impl<K: Sink> HclogLayer<K> {
    /// A layer that writes to `sink`, with targets as modules and without callers.
    #[must_use]
    pub fn new(sink: K) -> Self {
        Self { sink, module: None, caller: false }
    }

    /// Uses `module` as `@module` of all events that name none, instead of their targets.
    #[must_use]
    pub fn with_module(mut self, module: impl Into<Box<str>>) -> Self {
        self.module = Some(module.into());
        self
    }

    /// Adds `@caller`, the `file:line` of the event in the source; off by default since it carries paths of the machine
    /// that compiled the plugin.
    #[must_use]
    pub fn with_caller(mut self) -> Self {
        self.caller = true;
        self
    }

    fn write<S>(&self, scratch: &mut Scratch, event: &Event<'_>, ctx: &Context<'_, S>)
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        let metadata = event.metadata();
        scratch.clear();
        scratch.take_event(event);
        for span in ctx.event_scope(event).into_iter().flatten() {
            if let Some(fields) = span.extensions().get::<SpanFields>() {
                scratch.take_span(fields);
            }
        }
        if !scratch.has_module {
            encode::push_escaped(
                &mut scratch.module,
                self.module.as_deref().unwrap_or_else(|| metadata.target()),
            );
        }
        let caller = self.caller && scratch.find_caller(metadata);
        let Scratch { line, members, message, module, caller: place, .. } = scratch;
        let head = Head {
            level: (*metadata.level()).into(),
            message,
            module: Some(module),
            moment: SystemTime::now(),
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
        attributes.record(&mut Each(|name, value: Value<'_>| fields.set(name, &value)));
        // A second layer of this kind finds the same fields there already.
        span.extensions_mut().replace(fields);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, ctx: Context<'_, S>) {
        let Some(span) = ctx.span(id) else { return };
        // Values are rendered before the span is locked: their code is foreign and may well log.
        let mut fields = SpanFields::default();
        values.record(&mut Each(|name, value: Value<'_>| fields.set(name, &value)));
        let mut extensions = span.extensions_mut();
        match extensions.get_mut::<SpanFields>() {
            Some(known) => known.merge(fields),
            None => extensions.insert(fields),
        }
    }

    fn on_event(&self, event: &Event<'_>, ctx: Context<'_, S>) {
        let mut scratch = SCRATCH.try_with(Cell::take).ok().flatten().unwrap_or_default();
        self.write(&mut scratch, event, &ctx);
        if scratch.line.capacity() <= KEPT_CAPACITY {
            let _ = SCRATCH.try_with(|kept| kept.set(Some(scratch)));
        }
    }
}

/// The buffers of one event, kept by each thread for the next one.
#[derive(Default)]
struct Scratch {
    line: Vec<u8>,
    members: Vec<u8>,
    /// The names in `members`.
    names: Vec<&'static str>,
    /// This and the next two are the insides of JSON strings.
    message: Vec<u8>,
    module: Vec<u8>,
    caller: Vec<u8>,
    has_module: bool,
    log_line: Option<u64>,
}

impl Scratch {
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
        event.record(&mut Each(|name, value: Value<'_>| match name {
            "message" => {
                self.message.clear();
                value.push_text(&mut self.message);
            }
            "module" | "@module" => self.set_module(&value),
            // What tracing-log adds to the records of the `log` crate is about the event, not part of it.
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

    /// Begins a member, unless one of this name is there already.
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

    /// Whether the place of the event is known; then it is in `caller`.
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

/// Buffers that grew beyond this for one enormous event are not kept.
const KEPT_CAPACITY: usize = 64 * 1024;

thread_local! {
    /// Taken out while in use, so that an event inside the rendering of another finds nothing and makes its own.
    static SCRATCH: Cell<Option<Box<Scratch>>> = const { Cell::new(None) };
}
