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
pub struct OutputStream {
    reader: Reader<OutputChunk>,
}

impl OutputStream {
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
    async fn copies_one_source_and_passes_over_raw_bytes() {
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
