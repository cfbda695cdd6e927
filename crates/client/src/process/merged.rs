//! Splitting an output in which stdout and stderr are merged.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use rpcplugin_handshake::{HandshakeLine, HandshakeLineFault};
use tokio::{
    io::{AsyncRead, ReadBuf},
    sync::oneshot,
};

/// Splits a merged output into the handshake line and everything else, in its order.
///
/// The first half has the handshake line, and ends after it. It has nothing before the second half has been read as far: both
/// have to be read at the same time.
pub(crate) fn split<R: AsyncRead + Unpin>(output: R) -> (LineHalf, LogHalf<R>) {
    let (found, line) = oneshot::channel();
    let scanner = Scanner { found: Some(found), held: Vec::new(), is_log: false, log: Vec::new() };
    (LineHalf { line: Some(line), unread: Vec::new() }, LogHalf { output, scanner, unread: Vec::new() })
}

/// The handshake line, in the place of stdout.
pub(crate) struct LineHalf {
    /// `None` once the line has come, or cannot come any more.
    line: Option<oneshot::Receiver<Vec<u8>>>,
    unread: Vec<u8>,
}

/// Everything but the handshake line, in the place of stderr.
pub(crate) struct LogHalf<R> {
    output: R,
    scanner: Scanner,
    /// Bytes of the log that have been taken out of the scanner.
    unread: Vec<u8>,
}

/// Looks for the handshake line.
struct Scanner {
    /// `None` once the line has been found, or cannot come any more.
    found: Option<oneshot::Sender<Vec<u8>>>,
    /// The beginning of a line that may become the handshake line.
    held: Vec<u8>,
    /// Whether the current line is known to be a line of the log.
    is_log: bool,
    /// Bytes that belong to the log.
    log: Vec<u8>,
}

impl AsyncRead for LineHalf {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if let Some(line) = &mut this.line {
            this.unread = ready!(Pin::new(line).poll(cx)).unwrap_or_default();
            this.line = None;
        }
        take(&mut this.unread, buf);
        Poll::Ready(Ok(()))
    }
}

impl<R: AsyncRead + Unpin> AsyncRead for LogHalf<R> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let Self { output, scanner, unread } = self.get_mut();
        loop {
            if !unread.is_empty() || buf.remaining() == 0 {
                take(unread, buf);
                return Poll::Ready(Ok(()));
            }
            if scanner.is_done() {
                return Pin::new(output).poll_read(cx, buf);
            }
            // The caller's buffer serves for what has to be looked at.
            let before = buf.filled().len();
            let read = ready!(Pin::new(&mut *output).poll_read(cx, buf));
            match &buf.filled()[before..] {
                _ if read.is_err() => scanner.end(),
                [] => scanner.end(),
                bytes => scanner.look_at(bytes),
            }
            buf.set_filled(before);
            std::mem::swap(unread, &mut scanner.log);
            if read.is_err() && unread.is_empty() {
                return Poll::Ready(read);
            }
        }
    }
}

impl Scanner {
    fn is_done(&self) -> bool {
        self.found.is_none()
    }

    /// Divides bytes of the output into the handshake line and the log.
    fn look_at(&mut self, mut bytes: &[u8]) {
        while !self.is_done() && !bytes.is_empty() {
            let line_break = bytes.iter().position(|byte| *byte == b'\n');
            let (piece, rest) = bytes.split_at(line_break.map_or(bytes.len(), |at| at + 1));
            bytes = rest;
            if self.is_log {
                self.log.extend_from_slice(piece);
            } else {
                self.held.extend_from_slice(piece);
                match line_break {
                    Some(_) => self.decide(),
                    None if self.held.len() <= LONGEST && may_become_handshake_line(&self.held) => {}
                    None => {
                        self.log.append(&mut self.held);
                        self.is_log = true;
                    }
                }
            }
            if line_break.is_some() {
                self.is_log = false;
            }
        }
        self.log.extend_from_slice(bytes);
    }

    /// Decides what the held line is.
    fn decide(&mut self) {
        if self.held.len() <= LONGEST && is_handshake_line(&self.held) {
            let line = std::mem::take(&mut self.held);
            // A host that has given the plugin up does not read the line.
            let _ = self.found.take().map(|found| found.send(line));
        } else {
            self.log.append(&mut self.held);
        }
    }

    /// Ends the output. Its last line may have no line break.
    fn end(&mut self) {
        self.decide();
        self.found = None;
    }
}

/// Whether a line is the handshake line. So is a faulty line that names a network: the launch then reports the fault, and does
/// not wait for another line.
fn is_handshake_line(line: &[u8]) -> bool {
    if !may_become_handshake_line(line) {
        return false;
    }
    let line = String::from_utf8_lossy(line);
    match HandshakeLine::parse(&line) {
        Ok(_) => true,
        Err(error) if error.fault == HandshakeLineFault::NotAHandshakeLine => false,
        Err(_) => {
            let mut fields = line.split('|');
            let is_number =
                |field: &str| !field.is_empty() && field.bytes().all(|byte| byte.is_ascii_digit());
            fields.nth(1).is_some_and(is_number) && matches!(fields.next(), Some("unix" | "tcp"))
        }
    }
}

/// Whether bytes are the beginning of a handshake line: a number with a bar after it.
fn may_become_handshake_line(bytes: &[u8]) -> bool {
    let bytes = bytes.trim_ascii_start();
    let bytes = bytes.strip_prefix(b"+").unwrap_or(bytes);
    let digits = bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
    digits <= MOST_DIGITS && bytes.get(digits).is_none_or(|byte| digits > 0 && *byte == b'|')
}

/// Moves as many bytes as fit.
fn take(from: &mut Vec<u8>, buf: &mut ReadBuf<'_>) {
    let fitting = from.len().min(buf.remaining());
    buf.put_slice(&from[..fitting]);
    from.drain(..fitting);
}

/// The longest line that is held back, in bytes. The host's own limit of a handshake line is lower by default, and applies
/// to the line that is found.
const LONGEST: usize = 1 << 20;

/// The first field of a handshake line is a small number.
const MOST_DIGITS: usize = 20;

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    use super::*;

    const LINE: &str = "1|3|unix|/tmp/plugin1|grpc|";

    /// Writes the pieces one after another, and returns what both halves have.
    async fn halves(pieces: &[&[u8]]) -> (Vec<u8>, Vec<u8>) {
        let (mut write, read) = duplex(64 << 10);
        let (mut line, mut log) = split(read);
        let (mut lines, mut logs) = (Vec::new(), Vec::new());
        let writing = async {
            for piece in pieces {
                write.write_all(piece).await.unwrap();
                write.flush().await.unwrap();
                tokio::task::yield_now().await;
            }
            drop(write);
        };
        let (line, log, ()) = tokio::join!(line.read_to_end(&mut lines), log.read_to_end(&mut logs), writing);
        line.unwrap();
        log.unwrap();
        (lines, logs)
    }

    #[track_caller]
    fn text(bytes: &[u8]) -> &str {
        std::str::from_utf8(bytes).unwrap()
    }

    #[tokio::test]
    async fn the_first_handshake_line_is_taken_out_and_the_order_of_the_rest_is_kept() {
        let output = format!("banner\n{{\"@level\":\"info\"}}\n{LINE}\nlate\n{LINE}2\nno line break");
        let rest = format!("banner\n{{\"@level\":\"info\"}}\nlate\n{LINE}2\nno line break");
        let (line, log) = halves(&[output.as_bytes()]).await;
        assert_eq!((text(&line), text(&log)), (&*format!("{LINE}\n"), &*rest));
        let bytes: Vec<&[u8]> = output.as_bytes().chunks(1).collect();
        let (line, log) = halves(&bytes).await;
        assert_eq!((text(&line), text(&log)), (&*format!("{LINE}\n"), &*rest));
    }

    #[tokio::test]
    async fn an_output_without_a_handshake_line_is_all_log() {
        for output in
            ["", "\n", "a\nb", "1", "1|", "1|2|", "12|INFO|main|text\n", "  \n 1\n", "1|x|unix|/p|grpc|\n"]
        {
            let (line, log) = halves(&[output.as_bytes()]).await;
            assert_eq!((text(&line), text(&log)), ("", output));
        }
    }

    #[tokio::test]
    async fn the_last_line_needs_no_line_break() {
        let (line, log) = halves(&[b"log\n", LINE.as_bytes()]).await;
        assert_eq!((text(&line), text(&log)), (LINE, "log\n"));
    }

    #[tokio::test]
    async fn faulty_handshake_lines_are_found_too() {
        for faulty in
            ["1|4|unix|/s|netrpc", "1|4|tcp|127.0.0.1:1", "2|1|unix|/p|grpc|", "1|1|tcp|nowhere|grpc|"]
        {
            let (line, log) = halves(&[format!("{faulty}\nrest").as_bytes()]).await;
            assert_eq!((text(&line), text(&log)), (&*format!("{faulty}\n"), "rest"));
        }
    }

    #[tokio::test]
    async fn bytes_that_are_no_text_and_endless_lines_are_log_at_once() {
        let mut binary: Vec<u8> = (0..=255).cycle().take(300_000).collect();
        binary.extend_from_slice(format!("\n{LINE}\r\n\u{0}\n").as_bytes());
        let (line, log) = halves(&[&binary]).await;
        assert_eq!(text(&line), format!("{LINE}\r\n"));
        assert_eq!(log.len(), binary.len() - line.len());

        // A line that begins as a handshake line does is held back up to the limit only.
        let (mut write, read) = duplex(64 << 10);
        let (mut line, mut log) = split(read);
        let endless = [b"1|1|".to_vec(), vec![b'x'; LONGEST]].concat();
        let writing = tokio::spawn(async move {
            write.write_all(&endless).await.unwrap();
            write
        });
        let mut held = vec![0; LONGEST + 4];
        log.read_exact(&mut held).await.unwrap();
        assert!(held.starts_with(b"1|1|xxx"));
        // The rest of that line is not a handshake line. The next line is.
        let mut write = writing.await.unwrap();
        write.write_all(format!("{LINE}\n{LINE}\n.").as_bytes()).await.unwrap();
        let mut rest = vec![0; LINE.len() + 2];
        log.read_exact(&mut rest).await.unwrap();
        assert_eq!(text(&rest), format!("{LINE}\n."));
        let mut found = String::new();
        line.read_to_string(&mut found).await.unwrap();
        assert_eq!(found, format!("{LINE}\n"));
    }

    #[tokio::test]
    async fn log_lines_do_not_wait_for_their_line_break() {
        let (mut write, read) = duplex(1 << 10);
        let (mut line, mut log) = split(read);
        write.write_all(b"working").await.unwrap();
        let mut seen = [0; 7];
        log.read_exact(&mut seen).await.unwrap();
        assert_eq!(&seen, b"working");
        write.write_all(format!("\n{LINE}\nmore").as_bytes()).await.unwrap();
        let mut rest = [0; 5];
        log.read_exact(&mut rest).await.unwrap();
        assert_eq!(&rest, b"\nmore");
        let mut found = String::new();
        line.read_to_string(&mut found).await.unwrap();
        assert_eq!(found, format!("{LINE}\n"));
    }

    #[tokio::test]
    async fn an_error_of_the_output_comes_after_its_last_bytes_and_ends_the_line() {
        struct Broken(bool);
        impl AsyncRead for Broken {
            fn poll_read(
                mut self: Pin<&mut Self>,
                _: &mut Context<'_>,
                buf: &mut ReadBuf<'_>,
            ) -> Poll<io::Result<()>> {
                if std::mem::replace(&mut self.0, true) {
                    return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
                }
                buf.put_slice(b"1|half");
                Poll::Ready(Ok(()))
            }
        }
        let (mut line, mut log) = split(Broken(false));
        let mut logs = Vec::new();
        let error = log.read_to_end(&mut logs).await.unwrap_err();
        assert_eq!((error.kind(), text(&logs)), (io::ErrorKind::ConnectionReset, "1|half"));
        assert_eq!(line.read(&mut [0; 8]).await.unwrap(), 0);
    }
}
