//! What plugins print, as a stream, and into writers.

use std::{
    fmt, io,
    pin::Pin,
    sync::{Mutex, PoisonError},
    task::{Context, Poll},
};

use bytes::Bytes;
use futures_core::Stream;
use tokio::io::{AsyncWrite, AsyncWriteExt as _};

use crate::{
    identity::PluginId,
    observer::Observer,
    queue::{Bounds, Item, OverflowPolicy, Reader},
};

/// Where output came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OutputSource {
    /// What the plugin's code printed on stdout, forwarded over the connection.
    Stdout,
    /// What the plugin's code printed on stderr, forwarded over the connection.
    Stderr,
    /// The process's own stdout after the handshake line.
    RawStdout,
    /// The process's own stderr, which is also read as its log.
    RawStderr,
}

/// A piece of a plugin's output. The bytes may be cut anywhere, also within a character.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct OutputChunk {
    /// The plugin.
    pub plugin: PluginId,
    /// Where it printed.
    pub source: OutputSource,
    /// What it printed.
    pub bytes: Bytes,
}

/// How output is kept for its reader.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct OutputOptions {
    /// How many bytes wait for the reader. Default 1 MiB.
    pub capacity: usize,
    /// What becomes of output that does not fit. By default the oldest is dropped.
    pub when_full: OverflowPolicy,
    /// Whether the process's own stdout and stderr are wanted too, beside what is forwarded. Default false.
    pub raw: bool,
}

impl Default for OutputOptions {
    fn default() -> Self {
        Self { capacity: 1 << 20, when_full: OverflowPolicy::default(), raw: false }
    }
}

/// A plugin's output as a stream. It ends when there can be no more.
#[derive(Debug)]
pub struct Output {
    reader: Reader<OutputChunk>,
}

impl Output {
    pub(crate) fn new(reader: Reader<OutputChunk>) -> Self {
        Self { reader }
    }

    /// The next piece, or None when there can be no more.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub async fn next(&mut self) -> Option<OutputChunk> {
        self.reader.next().await
    }

    /// How many pieces were dropped since they were not taken in time.
    #[must_use]
    pub fn missed(&self) -> u64 {
        self.reader.missed()
    }

    /// Copies what comes from `source` into a writer until the output ends, and flushes after every piece. Other
    /// output is passed over.
    ///
    /// # Errors
    /// The first error of the writer.
    ///
    /// # Cancel safety
    /// Dropping the future may lose a piece.
    pub async fn copy_to(
        &mut self,
        source: OutputSource,
        mut writer: impl AsyncWrite + Unpin,
    ) -> io::Result<()> {
        while let Some(chunk) = self.next().await {
            if chunk.source == source {
                writer.write_all(&chunk.bytes).await?;
                writer.flush().await?;
            }
        }
        Ok(())
    }
}

impl Stream for Output {
    type Item = OutputChunk;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<OutputChunk>> {
        self.get_mut().reader.poll_next(cx)
    }
}

impl OutputOptions {
    pub(crate) fn bounds(self) -> Bounds<OutputChunk> {
        Bounds {
            // Pieces of a few bytes cost more than their bytes.
            items: (self.capacity / 16).max(64),
            weight: self.capacity,
            when_full: self.when_full,
            wanted: if self.raw { |_| true } else { |chunk| !chunk.source.is_raw() },
        }
    }
}

impl OutputSource {
    pub(crate) fn is_raw(self) -> bool {
        matches!(self, Self::RawStdout | Self::RawStderr)
    }
}

impl Item for OutputChunk {
    fn weight(&self) -> usize {
        self.bytes.len()
    }

    fn is_expendable(&self) -> bool {
        true
    }
}

/// An [`Observer`] that writes plugins' output into writers, byte for byte.
///
/// ```
/// # use rpcplugin_client::{Host, Writers};
/// # use rpcplugin_core::MagicCookie;
/// # let cookie = MagicCookie::new("KV_PLUGIN", "hello").unwrap();
/// let host = Host::new(cookie, 1).observe(Writers::new().with_stdout(std::io::stdout()).with_stderr(std::io::stderr()));
/// ```
///
/// A writer that blocks holds up the plugins that print, as every observer does. One that fails gets no more.
///
/// # Protocol
/// go-plugin `ClientConfig`: `SyncStdout`, `SyncStderr` and `Stderr`.
#[derive(Default)]
pub struct Writers {
    stdout: Target,
    stderr: Target,
    raw_stdout: Target,
    raw_stderr: Target,
}

type Target = Option<Mutex<Option<Box<dyn io::Write + Send>>>>;

impl Writers {
    /// Writes nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Writes here what the plugin's code prints on stdout.
    #[must_use]
    pub fn with_stdout(mut self, writer: impl io::Write + Send + 'static) -> Self {
        self.stdout = target(writer);
        self
    }

    /// Writes here what the plugin's code prints on stderr.
    #[must_use]
    pub fn with_stderr(mut self, writer: impl io::Write + Send + 'static) -> Self {
        self.stderr = target(writer);
        self
    }

    /// Writes here what comes from the process's own stdout after the handshake line.
    #[must_use]
    pub fn with_raw_stdout(mut self, writer: impl io::Write + Send + 'static) -> Self {
        self.raw_stdout = target(writer);
        self
    }

    /// Writes here what comes from the process's own stderr, which is also read as its log.
    #[must_use]
    pub fn with_raw_stderr(mut self, writer: impl io::Write + Send + 'static) -> Self {
        self.raw_stderr = target(writer);
        self
    }
}

impl Observer for Writers {
    /// Whether it writes what comes from the process's own stderr.
    fn takes_logs(&self) -> bool {
        self.raw_stderr.is_some()
    }

    fn stdout(&self, plugin: &PluginId, bytes: &[u8]) {
        write(&self.stdout, plugin, bytes);
    }

    fn stderr(&self, plugin: &PluginId, bytes: &[u8]) {
        write(&self.stderr, plugin, bytes);
    }

    fn raw_stdout(&self, plugin: &PluginId, bytes: &[u8]) {
        write(&self.raw_stdout, plugin, bytes);
    }

    fn raw_stderr(&self, plugin: &PluginId, bytes: &[u8]) {
        write(&self.raw_stderr, plugin, bytes);
    }
}

impl fmt::Debug for Writers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writers")
            .field("stdout", &self.stdout.is_some())
            .field("stderr", &self.stderr.is_some())
            .field("raw_stdout", &self.raw_stdout.is_some())
            .field("raw_stderr", &self.raw_stderr.is_some())
            .finish()
    }
}

fn target(writer: impl io::Write + Send + 'static) -> Target {
    Some(Mutex::new(Some(Box::new(writer))))
}

fn write(target: &Target, plugin: &PluginId, bytes: &[u8]) {
    let Some(target) = target else { return };
    let mut open = target.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(writer) = open.as_mut() else { return };
    if let Err(error) = writer.write_all(bytes).and_then(|()| writer.flush()) {
        tracing::warn!(%plugin, %error, "a plugin's output cannot be written any more");
        *open = None;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::queue::Topic;

    fn chunk(source: OutputSource, text: &str) -> OutputChunk {
        let plugin = PluginId { name: "p".into(), pid: None, generation: 1 };
        OutputChunk { plugin, source, bytes: Bytes::copy_from_slice(text.as_bytes()) }
    }

    #[tokio::test]
    async fn copies_one_source_and_passes_over_raw_bytes() {
        let topic = Topic::new();
        let options = OutputOptions::default();
        let mut output = Output::new(topic.subscribe(options.bounds()));
        topic.give(&chunk(OutputSource::Stdout, "one"));
        topic.give(&chunk(OutputSource::Stderr, "two"));
        topic.give(&chunk(OutputSource::RawStderr, "three"));
        topic.give(&chunk(OutputSource::Stdout, "four"));
        drop(topic);
        let mut written = Vec::new();
        output.copy_to(OutputSource::Stdout, &mut written).await.unwrap();
        assert_eq!(written, b"onefour");
    }

    #[test]
    fn a_writer_that_fails_gets_no_more() {
        struct Full(Arc<Mutex<u32>>);
        impl io::Write for Full {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                *self.0.lock().unwrap() += 1;
                Err(io::ErrorKind::StorageFull.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let tried = Arc::new(Mutex::new(0));
        let writers = Writers::new().with_stdout(Full(Arc::clone(&tried)));
        let plugin = chunk(OutputSource::Stdout, "").plugin;
        writers.stdout(&plugin, b"x");
        writers.stdout(&plugin, b"y");
        writers.stderr(&plugin, b"z");
        assert_eq!(*tried.lock().unwrap(), 1);
    }
}
