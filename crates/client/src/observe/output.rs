//! What plugins print, as a stream.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use futures_core::Stream;
use tokio::io::{AsyncWrite, AsyncWriteExt as _};

use super::queue::{Bounds, Item, OverflowPolicy, Reader};
use crate::plugin_id::PluginId;

/// The source of output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OutputSource {
    /// Stdout of the plugin's code, forwarded over the connection.
    Stdout,
    /// Stderr of the plugin's code, forwarded over the connection.
    Stderr,
    /// The process's own stdout after the handshake line.
    RawStdout,
    /// The process's own stderr, which is also read as its log.
    RawStderr,
}

/// A piece of a plugin's output. The bytes may be cut anywhere, even within a character.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct OutputChunk {
    /// The plugin.
    pub plugin: PluginId,
    /// The source.
    pub source: OutputSource,
    /// The bytes.
    pub bytes: Bytes,
}

/// The options of an output stream.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct OutputOptions {
    /// The size of the buffer in bytes. Default 1 MiB.
    pub capacity: usize,
    /// The policy for output that does not fit. By default the oldest is dropped.
    pub when_full: OverflowPolicy,
    /// Whether the process's real stdout and stderr are read too, beside forwarded output. Default false.
    pub raw: bool,
}

impl Default for OutputOptions {
    fn default() -> Self {
        Self { capacity: 1 << 20, when_full: OverflowPolicy::default(), raw: false }
    }
}

/// The output of a plugin, or of all plugins of a host, as a stream. The stream ends when no further output can come.
#[derive(Debug)]
pub struct OutputStream {
    reader: Reader<OutputChunk>,
}

impl OutputStream {
    pub(crate) fn new(reader: Reader<OutputChunk>) -> Self {
        Self { reader }
    }

    /// The next piece, or `None` when no further output can come.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub async fn next(&mut self) -> Option<OutputChunk> {
        self.reader.next().await
    }

    /// The number of pieces that were dropped because the stream was full.
    #[must_use]
    pub fn missed(&self) -> u64 {
        self.reader.missed()
    }

    /// Copies the output of `source` into a writer until the stream ends, and flushes after every piece. Skips other
    /// output.
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

impl Stream for OutputStream {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::queue::Topic;

    fn chunk(source: OutputSource, text: &str) -> OutputChunk {
        let plugin = PluginId { name: "p".into(), pid: None, generation: 1 };
        OutputChunk { plugin, source, bytes: Bytes::copy_from_slice(text.as_bytes()) }
    }

    #[tokio::test]
    async fn copying_takes_one_source_and_skips_raw_output() {
        let topic = Topic::new();
        let options = OutputOptions::default();
        let mut output = OutputStream::new(topic.subscribe(options.bounds()));
        topic.publish(&chunk(OutputSource::Stdout, "one"));
        topic.publish(&chunk(OutputSource::Stderr, "two"));
        topic.publish(&chunk(OutputSource::RawStderr, "three"));
        topic.publish(&chunk(OutputSource::Stdout, "four"));
        drop(topic);
        let mut written = Vec::new();
        output.copy_to(OutputSource::Stdout, &mut written).await.unwrap();
        assert_eq!(written, b"onefour");
    }
}
