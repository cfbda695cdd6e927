//! The output of the plugin, which goes to the host.

use rpcplugin::Endpoint;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    sync::oneshot,
};

use super::{
    line::{Rewritten, rewrite},
    plugin_exit::PluginExit,
};

/// Passes the output of the plugin on, until the plugin closes it or the host does not read any more.
///
/// `handshake` is the handshake line to look for, if this is stdout. All other bytes are passed on as they are.
pub(super) async fn pass_on(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut handshake: Option<ExpectedLine>,
    exit: &PluginExit,
) {
    let mut buffer = vec![0; BUFFER];
    let mut lines = Lines::default();
    loop {
        let Some(Ok(read)) = exit.bounds(from.read(&mut buffer)).await else { return };
        let checked;
        let passed = match handshake.take() {
            None => &buffer[..read],
            Some(expected) => {
                (checked, handshake) = lines.look_for(expected, &buffer[..read]);
                checked.as_slice()
            }
        };
        // A broken pipe ends this function, which closes the pipe of the plugin: the plugin sees what it would see without a bridge.
        let write = async {
            to.write_all(passed).await?;
            to.flush().await
        };
        if !matches!(exit.bounds(write).await, Some(Ok(()))) || read == 0 {
            return;
        }
    }
}

/// The handshake line that is still to come.
#[derive(Debug)]
pub(super) struct ExpectedLine {
    /// The address to put into the line.
    pub(super) address: String,
    /// Gets the address of the plugin.
    pub(super) found: oneshot::Sender<Endpoint>,
}

/// The output before the handshake line, line by line.
#[derive(Debug, Default)]
struct Lines {
    /// The beginning of a line whose end has not come.
    begun: Vec<u8>,
    /// Whether the beginning of this line has been passed on already, because the line is longer than a handshake line can be.
    is_long: bool,
}

impl Lines {
    /// Returns what to pass on of the bytes that were read. No bytes are the end of the output.
    ///
    /// Also returns `expected` if the handshake line was not among the bytes.
    fn look_for(&mut self, expected: ExpectedLine, read: &[u8]) -> (Vec<u8>, Option<ExpectedLine>) {
        self.begun.extend_from_slice(read);
        let mut passed = Vec::new();
        loop {
            let end = match self.begun.iter().position(|byte| *byte == b'\n') {
                Some(end) => end + 1,
                None if read.is_empty() || self.begun.len() > LONGEST_LINE => self.begun.len(),
                None => return (passed, Some(expected)),
            };
            if end == 0 {
                return (passed, Some(expected));
            }
            let line: Vec<u8> = self.begun.drain(..end).collect();
            let is_cut = line.last() != Some(&b'\n') && !read.is_empty();
            let is_whole = !std::mem::replace(&mut self.is_long, is_cut) && !is_cut;
            match rewrite(&line, &expected.address) {
                Some(Rewritten { endpoint, line }) if is_whole => {
                    passed.extend_from_slice(line.as_bytes());
                    passed.append(&mut self.begun);
                    // Without a receiver the bridge is ending.
                    let _ = expected.found.send(endpoint);
                    return (passed, None);
                }
                _ => passed.extend_from_slice(&line),
            }
        }
    }
}

/// In large pieces the plugin would wait for its host to read a whole one, and drop records meanwhile.
const BUFFER: usize = 8 << 10;

/// Hosts in Go read lines up to this length.
const LONGEST_LINE: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = "1|1|unix|/tmp/plugin1|grpc|\n";
    const REWRITTEN: &str = "1|1|tcp|127.0.0.1:7400|grpc|\n";

    /// Passes these pieces of output on. Returns what the host gets, and the endpoint that was found.
    async fn passed(pieces: &[&str]) -> (String, Option<Endpoint>) {
        let (mut plugin, output) = tokio::io::duplex(256 << 10);
        let (found, endpoint) = oneshot::channel();
        let expected = ExpectedLine { address: "127.0.0.1:7400".to_owned(), found };
        let pieces: Vec<String> = pieces.iter().map(|piece| (*piece).to_owned()).collect();
        let writer = tokio::spawn(async move {
            for piece in pieces {
                plugin.write_all(piece.as_bytes()).await.unwrap();
                tokio::task::yield_now().await;
            }
        });
        let mut got = Vec::new();
        pass_on(output, &mut got, Some(expected), &PluginExit::default()).await;
        writer.await.unwrap();
        (String::from_utf8(got).unwrap(), endpoint.await.ok())
    }

    #[tokio::test]
    async fn everything_but_the_handshake_line_is_passed_on_as_it_is() {
        let plugin = Endpoint::parse("unix", "/tmp/plugin1").ok();
        for pieces in [
            &[LINE][..],
            &["hello\n", LINE, "after\nand"],
            &["1|1|un", "ix|/tmp/plugin1|grpc", "|\n"],
            &["hel", "lo\n\n1|1|unix|/tmp/plugin1|grpc|\nafter ", LINE],
        ] {
            let (got, found) = passed(pieces).await;
            assert_eq!(got, pieces.concat().replacen(LINE, REWRITTEN, 1), "{pieces:?}");
            assert_eq!(found, plugin, "{pieces:?}");
        }
    }

    #[tokio::test]
    async fn a_line_without_a_line_break_counts_at_the_end() {
        let (got, found) = passed(&[LINE.trim_end()]).await;
        assert_eq!((got.as_str(), found.is_some()), (REWRITTEN, true));
    }

    #[tokio::test]
    async fn output_without_a_handshake_line_is_passed_on() {
        let long = "x".repeat(200 << 10);
        for pieces in [&[][..], &["no", " line"], &["many\n", "lines\n"], &[long.as_str(), LINE]] {
            let (got, found) = passed(pieces).await;
            assert!(got == pieces.concat() && found.is_none(), "{} bytes", got.len());
        }
    }
}
