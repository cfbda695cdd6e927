//! The time to parse a plugin's stderr, by its content.

use divan::counter::ItemsCount;
use rpcplugin_hclog::Parser;

fn main() {
    divan::main();
}

const RECORD: &str = "{\"@level\":\"info\",\"@message\":\"a request was served\",\"@module\":\"kit\",\"@timestamp\":\
                      \"2026-01-02T03:04:05.678901Z\",\"number\":17,\"path\":\"/a/b\",\"took\":\"1.5ms\"}\n";
const TEXT: &str = "2026/01/02 03:04:05 [INFO] a request was served: number=17 path=/a/b took=1.5ms\n";
const PANIC: &str =
    "panic: runtime error: index out of range\n\ngoroutine 1 [running]:\nmain.main()\n\t/src/main.go:7\n";

/// Parses a chunk of the size that a pipe returns at once.
fn read(bencher: divan::Bencher<'_, '_>, lines: &str) {
    let chunk = lines.repeat(16 * 1024 / lines.len());
    let count = chunk.lines().count();
    bencher
        .counter(ItemsCount::new(count))
        .with_inputs(Parser::new)
        .bench_refs(|parser| parser.push(chunk.as_bytes()).count());
}

#[divan::bench]
fn records(bencher: divan::Bencher<'_, '_>) {
    read(bencher, RECORD);
}

#[divan::bench]
fn text(bencher: divan::Bencher<'_, '_>) {
    read(bencher, TEXT);
}

#[divan::bench]
fn panics(bencher: divan::Bencher<'_, '_>) {
    read(bencher, PANIC);
}
