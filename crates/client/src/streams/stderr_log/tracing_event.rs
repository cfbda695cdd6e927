//! A log record as a tracing event, whose target is the plugin's name and whose fields are those of the record.
//!
//! tracing requires that target, level and names of fields live as long as the process. Its macros take them from the
//! source. Here they come with the record, so that each combination is kept forever, as those of the macros are. A
//! limit makes sure that a plugin which invents names cannot use up the host's memory. Beyond the limit, all fields
//! are one text.

use std::{
    collections::{HashMap, HashSet},
    sync::{LazyLock, Mutex, OnceLock, PoisonError},
};

use rpcplugin_core::disturbs;
use rpcplugin_hclog::{Level, Piece};
use tracing::{
    Callsite as _, Event, Metadata, Value,
    callsite::{Identifier, register},
    field::{FieldSet, display},
    level_filters::LevelFilter,
    metadata::Kind,
    subscriber::Interest,
};

use crate::observe::log_record::LogRecord;

/// Emits a log record as an event at its level, outside of all spans. The fields of the plugin's span would only
/// repeat those of the record.
pub(super) fn emit(record: &LogRecord) {
    let level = level_of(record.level);
    if level > LevelFilter::current() {
        return;
    }
    let target = without_control_characters(&record.plugin.name, '_');
    let mut fields = fields_of(record);
    let names: Vec<Box<str>> = fields.iter().map(|(name, _)| name.as_str().into()).collect();
    let shape = Shape::get(level, &target, names).unwrap_or_else(|| {
        fields = vec![(TOGETHER.to_owned(), Box::new(display(as_text(&record.fields))) as Box<dyn Value>)];
        Shape::of_text(level, &target)
    });
    let metadata = shape.metadata();
    tracing::dispatcher::get_default(|subscriber| {
        if !subscriber.enabled(metadata) {
            return;
        }
        let message = display(&record.message);
        let keys: Vec<_> = metadata.fields().iter().collect();
        // tracing takes values only as arrays. A field without a value is absent.
        let Some(first) = keys.first() else { return };
        let mut values: [(_, Option<&dyn Value>); MOST_FIELDS] = [(first, None); MOST_FIELDS];
        values[0].1 = Some(&message);
        for ((key, (_, value)), place) in keys.iter().skip(1).zip(&fields).zip(&mut values[1..]) {
            *place = (key, Some(&**value));
        }
        subscriber.event(&Event::new_child_of(None, metadata, &metadata.fields().value_set(&values)));
    });
}

/// The fields of a record with their values, then the properties of the record.
fn fields_of(record: &LogRecord) -> Vec<(String, Box<dyn Value>)> {
    let mut fields: Vec<(String, Box<dyn Value>)> = Vec::new();
    // The last of several fields with one name is used.
    let mut names = HashSet::new();
    let mut counted: Vec<_> = record.fields.iter().rev().filter(|(name, _)| names.insert(name)).collect();
    counted.reverse();
    let own = counted.len().min(MOST_OWN_FIELDS);
    for (name, value) in &counted[..own] {
        let name = field_name(name);
        if fields.iter().all(|(other, _)| *other != name) {
            fields.push((name, value_of(value)));
        }
    }
    let rest: Vec<_> = counted[own..].iter().map(|field| (*field).clone()).collect();
    let about = [
        (TOGETHER, (!rest.is_empty()).then(|| Box::new(display(as_text(&rest))) as Box<dyn Value>)),
        ("module", distinct_module(record).map(|module| Box::new(module.to_owned()) as Box<dyn Value>)),
        ("caller", record.caller.clone().map(|caller| Box::new(caller) as Box<dyn Value>)),
        ("panic", record.is_panic.then(|| Box::new(true) as Box<dyn Value>)),
        ("piece", piece_name(record.piece).map(|piece| Box::new(piece.to_owned()) as Box<dyn Value>)),
    ];
    for (name, value) in about {
        if let Some(value) = value.filter(|_| fields.iter().all(|(other, _)| other != name)) {
            fields.push((name.to_owned(), value));
        }
    }
    fields
}

/// The record's module, unless it repeats the plugin's name.
fn distinct_module(record: &LogRecord) -> Option<&str> {
    let same = |a: char, b: char| a == b || matches!((a, b), ('-' | '_', '-' | '_'));
    let name = &record.plugin.name;
    let module = record.module.as_deref()?;
    let repeats = module.chars().count() == name.chars().count()
        && module.chars().zip(name.chars()).all(|(a, b)| same(a, b));
    (!repeats && !module.is_empty()).then_some(module)
}

/// A JSON value as tracing takes it: text, number, boolean, or JSON text.
fn value_of(json: &str) -> Box<dyn Value> {
    match serde_json::from_str(json) {
        Ok(serde_json::Value::String(text)) => Box::new(text),
        Ok(serde_json::Value::Bool(value)) => Box::new(value),
        Ok(serde_json::Value::Number(number)) => match (number.as_u64(), number.as_i64(), number.as_f64()) {
            (Some(number), ..) => Box::new(number),
            (_, Some(number), _) => Box::new(number),
            (.., Some(number)) => Box::new(number),
            _ => Box::new(display(json.to_owned())),
        },
        _ => Box::new(display(json.to_owned())),
    }
}

/// Fields as `name=value`, with values as JSON.
pub(super) fn as_text(fields: &[(String, String)]) -> String {
    let text = fields.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ");
    text.chars().map(|c| if disturbs(c) { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

/// Makes a name that can stand before a `=` and differs from the name of the message.
fn field_name(name: &str) -> String {
    let plain = |c: char| if c.is_alphanumeric() || "_-.:/@".contains(c) { c } else { '_' };
    let name: String = name.chars().take(LONGEST_NAME).map(plain).collect();
    match &*name {
        "" => "_".to_owned(),
        MESSAGE | TOGETHER => format!("field.{name}"),
        _ => name,
    }
}

fn without_control_characters(text: &str, instead: char) -> String {
    text.chars().take(LONGEST_NAME).map(|c| if disturbs(c) { instead } else { c }).collect()
}

fn level_of(level: Level) -> tracing::Level {
    match level {
        Level::Trace => tracing::Level::TRACE,
        Level::Debug => tracing::Level::DEBUG,
        Level::Info => tracing::Level::INFO,
        Level::Warn => tracing::Level::WARN,
        Level::Error => tracing::Level::ERROR,
    }
}

/// The name of a piece of a long line. `None` for a whole line.
fn piece_name(piece: Piece) -> Option<&'static str> {
    match piece {
        Piece::Whole => None,
        Piece::First => Some("first"),
        Piece::Continued => Some("continued"),
        Piece::Last => Some("last"),
    }
}

/// A level, a target and names of fields: what the macros make for each place in the source.
#[derive(Debug)]
struct Shape {
    metadata: OnceLock<Metadata<'static>>,
}

#[derive(PartialEq, Eq, Hash)]
struct Key {
    level: tracing::Level,
    target: Box<str>,
    names: Vec<Box<str>>,
}

/// All shapes so far, and their number for each target.
#[derive(Default)]
struct Shapes {
    known: HashMap<Key, &'static Shape>,
    of_target: HashMap<Box<str>, usize>,
}

static SHAPES: LazyLock<Mutex<Shapes>> = LazyLock::new(Mutex::default);

impl Shape {
    /// Returns the shape with these fields beside the message. `None` if the target has too many already.
    fn get(level: tracing::Level, target: &str, names: Vec<Box<str>>) -> Option<&'static Self> {
        let mut shapes = SHAPES.lock().unwrap_or_else(PoisonError::into_inner);
        let key = Key { level, target: target.into(), names };
        if let Some(known) = shapes.known.get(&key) {
            return Some(known);
        }
        let all = shapes.known.len();
        let of_target = shapes.of_target.entry(target.into()).or_default();
        if *of_target >= MOST_OF_ONE_TARGET || all >= MOST_SHAPES {
            return None;
        }
        *of_target += 1;
        let shape = Self::new(&key);
        shapes.known.insert(key, shape);
        drop(shapes);
        // Subscribers are called here, and may log themselves.
        register(shape);
        Some(shape)
    }

    /// Returns the shape in which all fields are one text. Each of the first thousands of targets has its own.
    fn of_text(level: tracing::Level, target: &str) -> &'static Self {
        static TEXTS: LazyLock<Mutex<HashMap<Key, &'static Shape>>> = LazyLock::new(Mutex::default);
        let mut texts = TEXTS.lock().unwrap_or_else(PoisonError::into_inner);
        let target = if texts.len() < MOST_SHAPES { target } else { ANY_PLUGIN };
        let key = Key { level, target: target.into(), names: vec![TOGETHER.into()] };
        if let Some(known) = texts.get(&key) {
            return known;
        }
        let shape = Self::new(&key);
        texts.insert(key, shape);
        drop(texts);
        register(shape);
        shape
    }

    /// Makes a shape that is kept forever.
    fn new(key: &Key) -> &'static Self {
        let shape: &'static Self = Box::leak(Box::new(Self { metadata: OnceLock::new() }));
        let kept = |text: &str| -> &'static str { Box::leak(text.to_owned().into_boxed_str()) };
        let names = std::iter::once(MESSAGE).chain(key.names.iter().map(|name| kept(name)));
        let names: &'static [&'static str] = Box::leak(names.collect());
        let fields = FieldSet::new(names, Identifier(shape));
        shape.metadata.get_or_init(|| {
            Metadata::new("plugin log", kept(&key.target), key.level, None, None, None, fields, Kind::EVENT)
        });
        shape
    }
}

impl tracing::Callsite for Shape {
    /// The interest is not cached: the subscriber is asked at each record.
    fn set_interest(&self, _: Interest) {}

    fn metadata(&self) -> &Metadata<'_> {
        self.metadata.get_or_init(|| unreachable!("`new` sets it"))
    }
}

const MESSAGE: &str = "message";

/// The field that has several fields as one text.
const TOGETHER: &str = "fields";

/// The target of plugins beyond the limit.
const ANY_PLUGIN: &str = "plugin";

/// The limit of tracing.
const MOST_FIELDS: usize = 32;

/// The limit of a record's own fields in an event, beside the message and the properties of the record.
const MOST_OWN_FIELDS: usize = 26;

/// The limit of a name, in characters.
const LONGEST_NAME: usize = 64;

/// The limit for one target, above the number of places that log in a program. A shape takes up to 3 KiB.
const MOST_OF_ONE_TARGET: usize = 512;

/// The limit for all targets together.
const MOST_SHAPES: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_beyond_the_limit_become_one_text() {
        let names = |n: usize| vec![format!("name{n}").into_boxed_str()];
        let shape = |n| Shape::get(tracing::Level::INFO, "hostile-plugin", names(n));
        assert!((0..MOST_OF_ONE_TARGET).all(|n| shape(n).is_some()));
        assert!(shape(MOST_OF_ONE_TARGET).is_none() && shape(0).is_some());
        assert!(Shape::get(tracing::Level::INFO, "another-plugin", names(0)).is_some());
    }

    #[test]
    fn names_have_plain_characters() {
        for (name, plain) in
            [("a b\n=\"", "a_b___"), ("", "_"), ("message", "field.message"), ("http.status", "http.status")]
        {
            assert_eq!(field_name(name), plain);
        }
    }
}
