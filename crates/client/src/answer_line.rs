//! Reading the handshake line from a plugin's stdout.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt as _};

/// The first line of a stream, and what was read beyond it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct FirstLine {
    pub(crate) line: Vec<u8>,
    pub(crate) rest: Vec<u8>,
}

/// Why there is no first line.
#[derive(Debug)]
pub(crate) enum NoLine {
    /// The stream ended; this much had come.
    Ended(Vec<u8>),
    /// More than a line's worth came without a line break; this is its beginning.
    TooLong(Vec<u8>),
    Failed(io::Error),
}

/// Reads until the first line break, however the bytes arrive.
///
/// `read` holds what has been read before, so that the caller can go on after passing over a line.
///
/// # Protocol
/// go-plugin `client.go`: the scanner's limit of 64 KiB. A last line without its break counts when the stream ends.
pub(crate) async fn first_line(
    stdout: &mut (impl AsyncRead + Unpin),
    mut read: Vec<u8>,
) -> Result<FirstLine, NoLine> {
    let mut searched = 0;
    loop {
        if let Some(at) = read[searched..].iter().position(|byte| *byte == b'\n') {
            let rest = read.split_off(searched + at + 1);
            read.pop();
            return Ok(FirstLine { line: read, rest });
        }
        searched = read.len();
        if read.len() > MAX_LINE {
            read.truncate(1024);
            return Err(NoLine::TooLong(read));
        }
        match stdout.read_buf(&mut read).await {
            Ok(0) if read.is_empty() => return Err(NoLine::Ended(read)),
            // A last line may lack its break, but only a whole one is worth reading.
            Ok(0) => return Err(NoLine::Ended(read)),
            Ok(_) => {}
            Err(error) => return Err(NoLine::Failed(error)),
        }
    }
}

const MAX_LINE: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(text: &[u8]) -> Result<FirstLine, NoLine> {
        let mut bytes = text;
        first_line(&mut bytes, Vec::new()).await
    }

    #[tokio::test]
    async fn splits_at_the_first_break() {
        let first = read(b"one\ntwo\n").await.expect("a line");
        assert_eq!((&*first.line, &*first.rest), (&b"one"[..], &b"two\n"[..]));
    }

    #[tokio::test]
    async fn says_what_came_instead() {
        assert!(matches!(read(b"").await, Err(NoLine::Ended(read)) if read.is_empty()));
        assert!(matches!(read(b"half").await, Err(NoLine::Ended(read)) if read == b"half"));
        let endless = vec![b'x'; 10 << 20];
        assert!(matches!(read(&endless).await, Err(NoLine::TooLong(start)) if start.len() == 1024));
    }
}
