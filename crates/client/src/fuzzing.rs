//! What the fuzz targets use of a plugin's output. It is not compiled otherwise.

use tokio::io::{AsyncRead, AsyncReadExt as _};

use crate::{process::merged, streams::handshake_line};

/// Takes the first line out of a plugin's stdout. Returns the line, if there is one of at most `limit` bytes with its line break, and
/// all bytes that were read and are not part of it.
///
/// # Cancel safety
/// Dropping the future drops what was read.
pub async fn first_line(mut stdout: impl AsyncRead + Unpin, limit: usize) -> (Option<Vec<u8>>, Vec<u8>) {
    let mut read = Vec::new();
    let line = handshake_line::first_line(&mut stdout, &mut read, limit).await.ok();
    (line, read)
}

/// Splits an output in which stdout and stderr are merged. Returns the handshake line, which is empty if the output has no such line, and the log.
///
/// # Cancel safety
/// Dropping the future drops what was read.
pub async fn split_merged(output: impl AsyncRead + Unpin) -> (Vec<u8>, Vec<u8>) {
    let (mut line_half, mut log_half) = merged::split(output);
    let (mut line, mut log) = (Vec::new(), Vec::new());
    // A read fails only if the output does.
    let _ = tokio::join!(line_half.read_to_end(&mut line), log_half.read_to_end(&mut log));
    (line, log)
}
