//! The output of the plugin, which goes to the host.

use std::fmt;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::plugin_exit::PluginExit;

/// Passes the output of the plugin on, until the plugin closes it or the host does not read any more.
///
/// `handshake` gets each line up to the handshake line, if this is stdout. All other bytes are passed on as they are.
pub(crate) async fn pass_on(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut handshake: Option<HandshakeLineHook>,
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
        // A broken pipe ends this function, which closes the pipe of the plugin: the plugin sees what it would see without this program.
        let write = async {
            to.write_all(passed).await?;
            to.flush().await
        };
        if !matches!(exit.bounds(write).await, Some(Ok(()))) || read == 0 {
            return;
        }
    }
}

/// Gets each line of the output, and returns what is passed on in the place of the handshake line. Returns `None` for any other line.
pub(crate) struct HandshakeLineHook(Rewrite);

type Rewrite = Box<dyn FnMut(&[u8]) -> Option<Vec<u8>> + Send>;

impl HandshakeLineHook {
    pub(crate) fn new(rewrite: impl FnMut(&[u8]) -> Option<Vec<u8>> + Send + 'static) -> Self {
        Self(Box::new(rewrite))
    }
}

impl fmt::Debug for HandshakeLineHook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HandshakeLineHook").finish_non_exhaustive()
    }
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
    fn look_for(
        &mut self,
        mut expected: HandshakeLineHook,
        read: &[u8],
    ) -> (Vec<u8>, Option<HandshakeLineHook>) {
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
            let rewritten = if is_whole { (expected.0)(&line) } else { None };
            match rewritten {
                Some(line) => {
                    passed.extend_from_slice(&line);
                    passed.append(&mut self.begun);
                    return (passed, None);
                }
                None => passed.extend_from_slice(&line),
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
    use tokio::sync::oneshot;

    use super::*;

    const LINE: &str = "1|1|unix|/tmp/plugin1|grpc|\n";
    const REWRITTEN: &str = "1|1|tcp|127.0.0.1:7400|grpc|\n";

    /// Passes these pieces of output on. Returns what the host gets, and whether the line was found.
    async fn passed(pieces: &[&str]) -> (String, bool) {
        let (mut plugin, output) = tokio::io::duplex(256 << 10);
        let (found, mut endpoint) = oneshot::channel();
        let mut found = Some(found);
        let expected = HandshakeLineHook::new(move |line| {
            let is_line = line.strip_suffix(b"\n").unwrap_or(line) == LINE.trim_end().as_bytes();
            is_line.then(|| {
                found.take().unwrap().send(()).unwrap();
                REWRITTEN.as_bytes().to_vec()
            })
        });
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
        (String::from_utf8(got).unwrap(), endpoint.try_recv().is_ok())
    }

    #[tokio::test]
    async fn everything_but_the_handshake_line_is_passed_on_as_it_is() {
        for pieces in [
            &[LINE][..],
            &["hello\n", LINE, "after\nand"],
            &["1|1|un", "ix|/tmp/plugin1|grpc", "|\n"],
            &["hel", "lo\n\n1|1|unix|/tmp/plugin1|grpc|\nafter ", LINE],
        ] {
            let (got, found) = passed(pieces).await;
            assert_eq!(got, pieces.concat().replacen(LINE, REWRITTEN, 1), "{pieces:?}");
            assert!(found, "{pieces:?}");
        }
    }

    #[tokio::test]
    async fn a_line_without_a_line_break_counts_at_the_end() {
        let (got, found) = passed(&[LINE.trim_end()]).await;
        assert_eq!((got.as_str(), found), (REWRITTEN, true));
    }

    #[tokio::test]
    async fn output_without_a_handshake_line_is_passed_on() {
        let long = "x".repeat(200 << 10);
        for pieces in [&[][..], &["no", " line"], &["many\n", "lines\n"], &[long.as_str(), LINE]] {
            let (got, found) = passed(pieces).await;
            assert!(got == pieces.concat() && !found, "{} bytes", got.len());
        }
    }
}
