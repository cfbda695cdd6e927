//! A plugin's output. No byte of it is lost, and its division makes no difference.

use std::io::Cursor;

use rpcplugin_client::fuzzing::{first_line, split_merged};
use rpcplugin_hclog::{LogLine, Parser};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::{input::Input, memory};

/// The size of the pieces, and the bytes of a stderr.
pub(crate) fn log(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let step = usize::from(input.byte());
    let bytes = input.rest();
    let whole = lines(bytes, bytes.len());
    assert_eq!(lines(bytes, step), whole, "the division of the bytes makes no difference");

    let mut again = Vec::new();
    for line in &whole {
        drop(line.to_string());
        assert!(line.raw.len() <= MAX_LINE + 3, "a line is longer than the limit");
        again.extend_from_slice(&line.raw);
        again.extend_from_slice(line.end.as_bytes());
    }
    assert_eq!(again, bytes, "no byte is lost");
}

/// The records from the bytes, fed `step` at a time.
fn lines(bytes: &[u8], step: usize) -> Vec<LogLine> {
    // Low limits for lines and panics, so that the bytes reach them.
    let mut parser = Parser::new().with_max_line(MAX_LINE).with_panic_limit(5, 400);
    let mut lines = Vec::new();
    for chunk in bytes.chunks(step.max(1)) {
        lines.extend(parser.push(chunk));
    }
    lines.extend(parser.finish());
    lines
}

/// Long enough for a record of hclog.
const MAX_LINE: usize = 120;

/// The size of the pieces, and the bytes of a stdout.
pub(crate) fn output(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let step = usize::from(input.byte()).max(1);
    let limit = usize::from(input.byte()).max(1);
    let bytes = input.rest();
    let whole = memory::run(first_line(Cursor::new(bytes), limit));
    match &whole.0 {
        Some(line) => {
            assert!(line.len() < limit && !line.contains(&b'\n'));
            assert_eq!([line, &b"\n"[..], &whole.1].concat(), bytes[..line.len() + 1 + whole.1.len()]);
        }
        None => assert_eq!(whole.1, bytes[..whole.1.len()]),
    }

    let (line, log) = memory::run(split_merged(Cursor::new(bytes)));
    assert_eq!(line.len() + log.len(), bytes.len(), "no byte is lost");
    let parted = (0..=log.len()).any(|at| {
        bytes.starts_with(&log[..at]) && bytes[at..].starts_with(&line) && bytes.ends_with(&log[at..])
    });
    assert!(parted, "the bytes are in their order");
    let cut = memory::run(async {
        let (near, mut far) = tokio::io::duplex(step);
        let write = async {
            let _ = far.write_all(bytes).await;
            drop(far);
        };
        tokio::join!(split_merged(near.take(u64::MAX)), write).0
    });
    assert_eq!(cut, (line, log), "the division of the bytes makes no difference");
}
