//! The stderr of a plugin.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rpcplugin_hclog::{LogLine, Parser};

fuzz_target!(|input: (Vec<u8>, u8)| {
    let (bytes, step) = input;
    let whole = lines(&bytes, bytes.len());
    assert_eq!(lines(&bytes, usize::from(step)), whole, "the division of the bytes makes no difference");

    let mut again = Vec::new();
    for line in &whole {
        drop(line.to_string());
        again.extend_from_slice(&line.raw);
        again.extend_from_slice(line.end.as_bytes());
    }
    assert_eq!(again, bytes, "no byte is lost");
});

/// The records from the bytes, fed `step` at a time.
fn lines(bytes: &[u8], step: usize) -> Vec<LogLine> {
    // Low limits for lines and panics, so that the bytes reach them.
    let mut parser = Parser::new().with_max_line(40).with_panic_limit(5, 200);
    let mut lines = Vec::new();
    for chunk in bytes.chunks(step.max(1)) {
        lines.extend(parser.push(chunk));
    }
    lines.extend(parser.finish());
    lines
}
