//! The log of a plugin that is a pipe in memory.

use std::{
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::io::{AsyncWriteExt as _, DuplexStream, duplex};
use tracing::{Subscriber, field::Visit};
use tracing_subscriber::{Layer, layer::Context, prelude::*};

use super::*;
use crate::{
    observe::Observer,
    observe::fan_out::{PluginTopics, Topics},
};

/// Keeps every record.
#[derive(Clone, Default)]
struct Records(Arc<Mutex<Vec<LogRecord>>>);

impl Records {
    fn so_far(&self) -> MutexGuard<'_, Vec<LogRecord>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn messages(&self) -> Vec<String> {
        self.so_far().iter().map(|record| record.message.clone()).collect()
    }
}

impl Observer for Records {
    fn log(&self, record: &LogRecord) {
        self.so_far().push(record.clone());
    }
}

/// The plugin's end of its stderr, and what the host makes of it.
fn plugin(max_line: usize) -> (DuplexStream, Records, impl Future<Output = io::Result<()>>) {
    let (ours, theirs) = duplex(1 << 20);
    let records = Records::default();
    let observers: Vec<Arc<dyn Observer>> = vec![Arc::new(records.clone())];
    let topics = (Arc::new(Topics::new()), Arc::new(PluginTopics::new()));
    let fan_out = Arc::new(FanOut::new("kv", 1, observers, topics.0, topics.1));
    let tail = Arc::new(StderrTail::new(&rpcplugin_config::HostConfig::default()));
    (theirs, records, read_log(ours, max_line, false, tail, fan_out))
}

#[tokio::test(start_paused = true)]
async fn a_panic_ends_with_silence_another_record_or_the_stream() {
    let (mut stderr, records, pump) = plugin(1 << 10);
    let pump = tokio::spawn(pump);
    stderr.write_all(b"panic: one\n\ngoroutine 1 [running]:\n").await.unwrap();
    tokio::time::sleep(QUIET / 2).await;
    assert!(records.messages().is_empty(), "more may come");
    stderr.write_all(b"main.main()\n").await.unwrap();
    tokio::time::sleep(QUIET * 2).await;
    assert_eq!(records.messages(), ["panic: one\n\ngoroutine 1 [running]:\nmain.main()"]);

    let more = "thread 'a' panicked at src/a.rs:1:1:\ntwo\nthread 'b' panicked at src/b.rs:1:1:\nthree\n[INFO] four\n";
    stderr.write_all(more.as_bytes()).await.unwrap();
    stderr.write_all(b"fatal error: five\nand no end").await.unwrap();
    drop(stderr);
    pump.await.unwrap().unwrap();
    assert_eq!(
        records.messages()[1..],
        [
            "thread 'a' panicked at src/a.rs:1:1:\ntwo",
            "thread 'b' panicked at src/b.rs:1:1:\nthree",
            "[INFO] four",
            "fatal error: five\nand no end"
        ]
    );
    let panics: Vec<_> = records.so_far().iter().map(|record| record.is_panic).collect();
    assert_eq!(panics, [true, true, true, false, true]);
}

#[tokio::test]
async fn the_pieces_of_a_long_line_of_a_panic_are_joined() {
    let (mut stderr, records, pump) = plugin(16);
    let line = format!("panic: {}", "x".repeat(50));
    stderr.write_all(format!("{line}\nnext\n").as_bytes()).await.unwrap();
    drop(stderr);
    pump.await.unwrap();
    assert_eq!(records.messages(), [format!("{line}\nnext")]);
}

/// Keeps target, level and fields of every event as text.
#[derive(Clone, Default)]
struct Events(Arc<Mutex<Vec<String>>>);

impl<S: Subscriber> Layer<S> for Events {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        struct Fields(String);
        impl Visit for Fields {
            fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn fmt::Debug) {
                self.0 += &format!(" {field}={value:?}");
            }
        }
        let (target, level) = (event.metadata().target(), event.metadata().level());
        assert!(event.is_root(), "each record would repeat the fields of the span of its life");
        let mut fields = Fields(format!("{target} {level}"));
        event.record(&mut fields);
        self.0.lock().unwrap().push(fields.0);
    }
}

#[tokio::test]
async fn records_become_tracing_events() {
    let events = Events::default();
    let _subscribed = tracing::subscriber::set_default(tracing_subscriber::registry().with(events.clone()));
    let (mut stderr, _, pump) = plugin(200);
    let record =
        br#"{"@level":"warn","@message":"nearly full","@module":"disk","@caller":"d.go:3","left":12,"who":"a \"b\"","ok":true,"rest":[1,null]}"#;
    stderr.write_all(&[record, &b"\nplain\n"[..], &[b'y'; 250], b"\npanic: x\ny\n"].concat()).await.unwrap();
    drop(stderr);
    pump.await.unwrap();
    let events = events.0.lock().unwrap();
    let long = |length| "y".repeat(length);
    assert_eq!(
        events[..],
        [
            r#"kv WARN message=nearly full left=12 who="a \"b\"" ok=true rest=[1,null] module="disk" caller="d.go:3""#.to_owned(),
            "kv DEBUG message=plain".to_owned(),
            format!(r#"kv DEBUG message={} piece="first""#, long(200)),
            format!(r#"kv DEBUG message={} piece="last""#, long(50)),
            "kv ERROR message=panic: x\ny panic=true".to_owned(),
        ]
    );
}
