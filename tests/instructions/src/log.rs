//! The log of a plugin, written by the plugin and read by its host.

use std::hint::black_box;
use std::time::{Duration, UNIX_EPOCH};

use rpcplugin_hclog::{HclogLayer, Level, Parser, Record};
use tracing_subscriber::prelude::*;

use crate::{Piece, TIMES, Work, repeat};

pub(crate) const PIECES: &[Piece] = &[
    ("log: read a record", || read(RECORD)),
    ("log: read a line of text", || read(TEXT)),
    ("log: read a line of a panic", || read(PANIC)),
    ("log: write a record", write_record),
    ("log: write an event", write_event),
];

const RECORD: &[&str] =
    &["{\"@level\":\"info\",\"@message\":\"a request was served\",\"@module\":\"kit\",\"@timestamp\":\
         \"2026-01-02T03:04:05.678901Z\",\"number\":17,\"path\":\"/a/b\",\"took\":\"1.5ms\"}\n"];
const TEXT: &[&str] = &["2026/01/02 03:04:05 [INFO] a request was served: number=17 path=/a/b took=1.5ms\n"];
const PANIC: &[&str] = &[
    "panic: runtime error: index out of range\n",
    "goroutine 1 [running]:\n",
    "main.main()\n",
    "\t/src/main.go:7\n",
];

/// All lines at once, as from a pipe.
fn read(lines: &'static [&'static str]) -> Work {
    let chunk: String = lines.iter().copied().cycle().take(TIMES).collect();
    Box::new(move || {
        let mut parser = Parser::new();
        let read = parser.push(black_box(chunk.as_bytes())).map(black_box).count();
        assert_eq!(read, TIMES, "each line is read");
    })
}

fn write_record() -> Work {
    let record = Record::new(Level::Info, "a request was served")
        .with_module("kit")
        .with_timestamp(UNIX_EPOCH + Duration::from_micros(1_767_323_045_678_901))
        .with_field("number", 17)
        .with_field("path", "/a/b")
        .with_field("took", "1.5ms");
    repeat(move || black_box(&record).to_line())
}

/// With the subscriber of a plugin.
fn write_event() -> Work {
    let layer = HclogLayer::new(|line: &[u8]| {
        black_box(line);
    });
    let dispatch = tracing::Dispatch::new(tracing_subscriber::registry().with(layer.with_module("kit")));
    Box::new(move || {
        tracing::dispatcher::with_default(&dispatch, || {
            for number in 0..TIMES {
                tracing::info!(number, path = "/a/b", took = "1.5ms", "a request was served");
            }
        });
    })
}
