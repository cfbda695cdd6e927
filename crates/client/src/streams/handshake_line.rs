//! Reading the handshake line from a plugin's stdout.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt as _};

/// The reason why there is no line.
#[derive(Debug)]
pub(crate) enum NoLine {
    /// The stream ended.
    Ended,
    /// No line break came within the limit.
    TooLong,
    Failed(io::Error),
}

/// Takes the first line out of `read` and `stdout`. What comes after the line stays in `read`, and so does what came
/// without a line.
///
/// # Protocol
/// go-plugin `client.go`: its scanner takes 64 KiB, the line break included.
///
/// # Cancel safety
/// Nothing is lost: what has been read is in `read`.
pub(crate) async fn first_line(
    stdout: &mut (impl AsyncRead + Unpin),
    read: &mut Vec<u8>,
    limit: usize,
) -> Result<Vec<u8>, NoLine> {
    let mut searched = 0;
    loop {
        let line_break = read[searched..].iter().position(|byte| *byte == b'\n').map(|at| searched + at);
        searched = read.len();
        match line_break {
            Some(at) if at < limit => {
                let rest = read.split_off(at + 1);
                let mut line = std::mem::replace(read, rest);
                line.pop();
                return Ok(line);
            }
            None if searched < limit => {}
            _ => return Err(NoLine::TooLong),
        }
        match stdout.read_buf(read).await {
            Ok(0) => return Err(NoLine::Ended),
            Ok(_) => {}
            Err(error) => return Err(NoLine::Failed(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(text: &[u8]) -> (Result<Vec<u8>, NoLine>, Vec<u8>) {
        let (mut bytes, mut read) = (text, Vec::new());
        let line = first_line(&mut bytes, &mut read, 64 << 10).await;
        (line, read)
    }

    #[tokio::test]
    async fn the_line_ends_at_the_first_break() {
        let (line, rest) = read(b"one\ntwo\n").await;
        assert_eq!((&*line.expect("a line"), &*rest), (&b"one"[..], &b"two\n"[..]));
    }

    #[tokio::test]
    async fn a_missing_line_leaves_what_was_read() {
        assert!(matches!(read(b"").await, (Err(NoLine::Ended), read) if read.is_empty()));
        assert!(matches!(read(b"half").await, (Err(NoLine::Ended), read) if read == b"half"));
        let endless = vec![b'x'; 10 << 20];
        assert!(matches!(read(&endless).await, (Err(NoLine::TooLong), read) if read.len() < 1 << 20));
    }

    #[tokio::test]
    async fn the_limit_counts_the_line_break() {
        for (length, fits) in [(65_535, true), (65_536, false)] {
            let mut line = vec![b'x'; length];
            line.push(b'\n');
            assert_eq!(read(&line).await.0.is_ok(), fits, "{length}");
        }
    }
}
