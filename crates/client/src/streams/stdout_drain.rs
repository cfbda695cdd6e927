//! The process's real stdout after the handshake line.

use std::{io, sync::Arc};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt as _};

use crate::observe::{fan_out::FanOut, output::OutputSource};

/// Reads stdout to its end, so that the plugin never blocks on it. `rest` is what has been read already.
pub(crate) async fn drain(
    mut stdout: impl AsyncRead + Unpin,
    rest: Vec<u8>,
    fan_out: Arc<FanOut>,
) -> io::Result<()> {
    let mut buffer = rest;
    loop {
        if !buffer.is_empty() {
            let shown = String::from_utf8_lossy(&buffer[..buffer.len().min(SHOWN)]);
            tracing::debug!(target: "plugin::stdout", plugin = %fan_out.id(), real = true, "{}", shown.trim_end());
            fan_out.output(OutputSource::RawStdout, Bytes::copy_from_slice(&buffer)).await;
        }
        buffer.clear();
        if stdout.read_buf(&mut buffer).await? == 0 {
            return Ok(());
        }
        tokio::task::yield_now().await;
    }
}

/// The largest part of a read that an event shows.
const SHOWN: usize = 1024;
