//! The lines that the layer writes, read as JSON and by the parser.

use std::fmt;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex};

use proptest::prelude::*;
use rpcplugin_hclog::{HclogLayer, Json, Level, MaxLevel, ParsedRecord, Parser, Record, Sink};
use serde_json::{Value, json};
use tracing::level_filters::LevelFilter;
use tracing::{Subscriber, debug, error, info, info_span, trace, warn};
use tracing_subscriber::layer::Filter;
use tracing_subscriber::prelude::*;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{Layer, Registry};

/// Collects each call of the sink as one line.
#[derive(Clone, Default)]
struct Collected(Arc<Mutex<Vec<String>>>);

impl Sink for Collected {
    fn write_line(&self, line: &[u8]) {
        let line = String::from_utf8(line.to_vec()).expect("lines are UTF-8");
        self.0.lock().expect("no test panics here").push(line);
    }
}

impl Collected {
    fn run(self, layer: impl Fn(HclogLayer<Self>) -> HclogLayer<Self>, body: impl FnOnce()) -> Vec<Value> {
        let subscriber = tracing_subscriber::registry().with(layer(HclogLayer::new(self.clone())));
        tracing::subscriber::with_default(subscriber, body);
        self.values()
    }

    fn values(&self) -> Vec<Value> {
        let lines = self.0.lock().expect("no test panics here");
        lines
            .iter()
            .map(|line| {
                assert_eq!(line.find('\n'), Some(line.len() - 1), "one line per call: {line:?}");
                serde_json::from_str(line).expect(line)
            })
            .collect()
    }
}

fn written(body: impl FnOnce()) -> Vec<Value> {
    Collected::default().run(|layer| layer, body)
}

/// Checks the members of a record, and the format of its timestamp.
#[track_caller]
fn check(value: &Value, expected: &Value) {
    let mut value = value.clone();
    let timestamp = value.as_object_mut().expect("an object").remove("@timestamp").expect("a timestamp");
    let timestamp = timestamp.as_str().expect("a string");
    assert_eq!((timestamp.len(), &timestamp[19..20], &timestamp[26..]), (27, ".", "Z"), "{timestamp}");
    assert_eq!(&value, expected);
}

fn parse(bytes: &[u8]) -> Vec<ParsedRecord> {
    Parser::new().push(bytes).map(|line| line.record.expect("a record")).collect()
}

#[derive(Debug)]
struct Failure(&'static str, Option<Box<Self>>);

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Failure {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.1.as_deref().map(|cause| cause as _)
    }
}

#[test]
fn an_event_gives_level_message_and_module() {
    let lines = written(|| {
        trace!(target: "t", "one");
        debug!(target: "t", "two {}", 2);
        info!(target: "t", "three \"quoted\"\nline");
        warn!(target: "t", "");
        error!(target: "t", code = 5);
    });
    let record = |level, message| json!({"@level": level, "@message": message, "@module": "t"});
    check(&lines[0], &record("trace", "one"));
    check(&lines[1], &record("debug", "two 2"));
    check(&lines[2], &record("info", "three \"quoted\"\nline"));
    check(&lines[3], &record("warn", ""));
    check(&lines[4], &json!({"@level": "error", "@message": "", "@module": "t", "code": 5}));
}

#[test]
fn a_value_of_every_type_has_its_json() {
    let cause = Failure("cannot open", Some(Box::new(Failure("no such file", None))));
    let error: &(dyn std::error::Error + 'static) = &cause;
    let lines = written(|| {
        info!(
            target: "t",
            yes = true,
            small = i64::MIN,
            large = u64::MAX,
            half = 0.5,
            whole = 2.0,
            nan = f64::NAN,
            infinite = f64::INFINITY,
            negative = f64::NEG_INFINITY,
            short = 7_i128,
            wide = u128::MAX,
            text = "a\u{7}b",
            debug = ?Some("x"),
            display = %'c',
            error,
            none = tracing::field::Empty,
            r#type = "raw",
            "dotted.name" = 1,
            "m"
        );
    });
    check(
        &lines[0],
        &json!({
            "@level": "info", "@message": "m", "@module": "t",
            "yes": true, "small": i64::MIN, "large": u64::MAX, "half": 0.5, "whole": 2.0,
            "nan": "NaN", "infinite": "inf", "negative": "-inf",
            "short": 7, "wide": u128::MAX.to_string(),
            "text": "a\u{7}b", "debug": "Some(\"x\")", "display": "c",
            "error": "cannot open: no such file", "type": "raw", "dotted.name": 1,
        }),
    );
}

#[test]
fn json_is_nested_if_it_is_the_whole_value() {
    let nested = json!({"a": [1, true, null]});
    let lines = written(|| {
        info!(target: "t", answer = 42, nested = %Json(&nested), again = ?Json([1, 2]), "m");
        info!(target: "t", within = ?Some(Json(1)), text = %format_args!("{}{}", Json(1), Json(22)), "m");
        let raw = serde_json::to_string_pretty(&nested).unwrap();
        info!(target: "t", text = %raw, "m");
    });
    check(
        &lines[0],
        &json!({"@level": "info", "@message": "m", "@module": "t", "answer": 42, "nested": nested, "again": [1, 2]}),
    );
    check(
        &lines[1],
        &json!({"@level": "info", "@message": "m", "@module": "t", "within": "Some(1)", "text": "122"}),
    );
    assert!(lines[2]["text"].is_string());
    assert_eq!(format!("{} {:?}", Json(&nested), Json("x")), r#"{"a":[1,true,null]} "x""#);
    let unserialisable = std::collections::BTreeMap::from([(vec![1], 2)]);
    assert_eq!(Json(unserialisable).to_string(), "\"key must be a string\"");
}

#[test]
fn a_field_with_a_name_of_the_format_is_renamed() {
    let lines = written(|| {
        info!(target: "t", { "@message" = 1, "@level" = 2, "@timestamp" = 3, "@caller" = 4 }, "real");
    });
    check(
        &lines[0],
        &json!({
            "@level": "info", "@message": "real", "@module": "t",
            "field.message": 1, "field.level": 2, "field.timestamp": 3, "field.caller": 4,
        }),
    );
}

#[test]
fn the_module_comes_from_the_event_the_layer_or_the_target() {
    let body = || {
        info!(target: "t", module = "mine", "m");
        info!(target: "t", { "@module" = 5 }, "m");
        info!(target: "t", "m");
    };
    let modules = |lines: &[Value]| lines.iter().map(|line| line["@module"].clone()).collect::<Vec<_>>();
    assert_eq!(modules(&written(body)), [json!("mine"), json!("5"), json!("t")]);
    let named = Collected::default().run(
        |layer| {
            let named = layer.with_module("plugin");
            assert!(format!("{named:?}").contains("plugin"));
            named
        },
        body,
    );
    assert_eq!(modules(&named), [json!("mine"), json!("5"), json!("plugin")]);
}

#[test]
fn the_caller_is_written_on_demand() {
    let line = line!() + 1;
    let body = || info!("m");
    assert_eq!(written(body)[0].get("@caller"), None);
    let lines = Collected::default().run(HclogLayer::with_caller, body);
    assert_eq!(lines[0]["@caller"], format!("{}:{line}", file!()));
}

#[test]
fn records_of_the_log_crate_have_their_own_module_and_caller() {
    let lines = Collected::default().run(HclogLayer::with_caller, || {
        info!(
            target: "log",
            {
                "log.target" = "real::target",
                "log.module_path" = "real",
                "log.file" = "src/real.rs",
                "log.line" = 9_u32,
                k = 1
            },
            "m"
        );
        info!(target: "t", { "log.target" = "a", "log.module_path" = "b", "log.file" = "c", "log.line" = 4 }, "m");
    });
    check(
        &lines[0],
        &json!({"@level": "info", "@message": "m", "@module": "real::target", "@caller": "src/real.rs:9", "k": 1}),
    );
    let fields = ["log.target", "log.module_path", "log.file", "log.line"].map(|name| lines[1][name].clone());
    assert_eq!(fields, [json!("a"), json!("b"), json!("c"), json!(4)], "fields of another event");
    assert_eq!(lines[1]["@module"], "t");
}

#[test]
fn an_inner_span_takes_precedence_over_an_outer_one_and_the_event_over_both() {
    let lines = written(|| {
        let outer = info_span!("outer", a = "outer", b = "outer", c = "outer", later = tracing::field::Empty);
        outer.record("later", 1);
        outer.record("later", 2);
        let _outer = outer.enter();
        let _inner =
            info_span!("inner", b = "inner", c = "inner", message = "of the span", "@level" = 1).entered();
        info!(target: "t", c = "event", "m");
        info!(target: "t", parent: None, "alone");
    });
    check(
        &lines[0],
        &json!({
            "@level": "info", "@message": "m", "@module": "t",
            "a": "outer", "b": "inner", "c": "event", "later": 2, "message": "of the span", "field.level": 1,
        }),
    );
    check(&lines[1], &json!({"@level": "info", "@message": "alone", "@module": "t"}));
}

#[test]
fn two_layers_in_one_subscriber_write_the_same() {
    let (first, second) = (Collected::default(), Collected::default());
    let subscriber = tracing_subscriber::registry()
        .with(HclogLayer::new(first.clone()))
        .with(HclogLayer::new(second.clone()));
    tracing::subscriber::with_default(subscriber, || {
        let span = info_span!("s", k = 1, later = tracing::field::Empty);
        span.record("later", true);
        span.in_scope(|| info!(target: "t", "m"));
    });
    for collected in [first, second] {
        check(
            &collected.values()[0],
            &json!({"@level": "info", "@message": "m", "@module": "t", "k": 1, "later": true}),
        );
    }
}

/// Counts the events that reach it.
struct Count(Arc<AtomicUsize>);

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Count {
    fn on_event(&self, _: &tracing::Event<'_>, _: tracing_subscriber::layer::Context<'_, S>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn a_new_level_applies_at_once_and_to_its_layer_only() {
    let (collected, errors) = (Collected::default(), Collected::default());
    let seen = Arc::new(AtomicUsize::new(0));
    let level = MaxLevel::new(LevelFilter::WARN);
    let subscriber = tracing_subscriber::registry()
        .with(HclogLayer::new(collected.clone()).with_filter(level.clone()))
        .with(HclogLayer::new(errors.clone()).with_filter(MaxLevel::new(LevelFilter::ERROR)))
        .with(Count(Arc::clone(&seen)));
    let round = || {
        trace!("trace");
        info!("info");
        error!("error");
    };
    tracing::subscriber::with_default(subscriber, || {
        round();
        for next in [LevelFilter::TRACE, LevelFilter::INFO, LevelFilter::OFF] {
            level.set(next);
            assert_eq!((level.current(), Filter::<Registry>::max_level_hint(&level)), (next, Some(next)));
            round();
        }
    });
    let messages = |collected: Collected| {
        collected.values().iter().map(|line| line["@message"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(messages(collected), ["error", "trace", "info", "error", "info", "error"]);
    assert_eq!(messages(errors), ["error"; 4]);
    assert_eq!(seen.load(Ordering::Relaxed), 12);
}

/// A pipe whose other end is closed.
struct Broken;

impl io::Write for Broken {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_broken_pipe_is_not_an_error() {
    let writer: Arc<Mutex<dyn io::Write + Send>> = Arc::new(Mutex::new(Broken));
    let subscriber = tracing_subscriber::registry().with(HclogLayer::new(writer));
    tracing::subscriber::with_default(subscriber, || error!("lost"));
}

/// Takes a few bytes at a time, so that only the lock of the sink keeps the lines whole.
struct Dribble(Arc<Mutex<Vec<u8>>>);

impl io::Write for Dribble {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(7);
        self.0.lock().expect("no test panics here").extend_from_slice(&bytes[..taken]);
        std::thread::yield_now();
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn lines_of_threads_do_not_mix() {
    const THREADS: usize = 8;
    const EVENTS: usize = 200;
    let bytes = Arc::new(Mutex::new(Vec::new()));
    let layer = HclogLayer::new(Mutex::new(Dribble(Arc::clone(&bytes))));
    let dispatch = tracing::Dispatch::new(tracing_subscriber::registry().with(layer));
    let start = Barrier::new(THREADS);
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (start, dispatch) = (&start, &dispatch);
            scope.spawn(move || {
                start.wait();
                tracing::dispatcher::with_default(dispatch, || {
                    for event in 0..EVENTS {
                        info!(thread, event, filler = "x".repeat(event), "m");
                    }
                });
            });
        }
    });
    let records = parse(&bytes.lock().unwrap());
    assert_eq!(records.len(), THREADS * EVENTS);
    let mut next = [0; THREADS];
    for record in records {
        let number = |name| usize::try_from(record.field(name).and_then(Value::as_u64).unwrap()).unwrap();
        let (thread, event) = (number("thread"), number("event"));
        assert_eq!(event, next[thread], "the lines of one thread keep their order");
        assert_eq!(record.field("filler").and_then(Value::as_str).map(str::len), Some(event));
        next[thread] += 1;
    }
}

/// Also with control characters, which proptest leaves out of a string unless they are asked for.
const ANY_TEXT: &str = r"(\PC|\p{C}){0,40}";

proptest! {
    #[test]
    fn an_event_is_read_as_it_was_written(message in ANY_TEXT, text in ANY_TEXT, number: i64, float: f64) {
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let subscriber = tracing_subscriber::registry().with(HclogLayer::new(Arc::clone(&bytes)));
        tracing::subscriber::with_default(subscriber, || {
            info!(target: "t", text = text.as_str(), debug = ?text, number, float, "{message}");
        });
        let records = parse(&bytes.lock().unwrap());
        prop_assert_eq!(records.len(), 1);
        let record = &records[0];
        prop_assert_eq!((record.level, &record.message), (Level::Info, &message));
        prop_assert_eq!(record.module.as_deref(), Some("t"));
        prop_assert!(record.timestamp.is_some());
        let fields = [
            ("text", json!(text)),
            ("debug", json!(format!("{text:?}"))),
            ("number", json!(number)),
            ("float", if float.is_finite() { json!(float) } else { json!(float.to_string()) }),
        ];
        prop_assert_eq!(record.fields.clone(), fields.map(|(name, value)| (name.to_owned(), value)));
    }

    #[test]
    fn a_record_is_read_as_it_was_written(message in ANY_TEXT, name in ANY_TEXT, value in ANY_TEXT) {
        let record = Record::new(Level::Error, message.clone()).with_field(name, value.clone());
        let records = parse(record.to_line().as_bytes());
        prop_assert_eq!(&records[0].message, &message);
        prop_assert_eq!(&records[0].fields[0].1, &json!(value));
    }
}
