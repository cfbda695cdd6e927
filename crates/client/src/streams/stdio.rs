//! Forwarded output, from the stdio service of a plugin.

use std::borrow::Cow;

use rpcplugin_proto::{Channel as Source, GrpcStdioClient};
use rpcplugin_transport::http2::PluginChannel;
use tonic::Code;

use super::reopen::CallEnd;
use crate::observe::{fan_out::FanOut, output::OutputSource};

/// Reads forwarded output until its end or that of the connection. To be spawned: with a Go plugin the call itself
/// returns only with the first output.
///
/// # Protocol
/// go-plugin `grpc_stdio.go`: the stream has to be read as long as the connection is open, or the plugin blocks.
pub(crate) async fn forward(channel: PluginChannel, fan_out: &FanOut) -> CallEnd {
    let mut client = GrpcStdioClient::new(channel).max_decoding_message_size(MAX_PIECE);
    let ended = async {
        let mut stream = client.stream_stdio(()).await?.into_inner();
        while let Some(message) = stream.message().await? {
            let plugin = fan_out.id();
            match message.channel() {
                Source::Stdout => {
                    tracing::debug!(target: TARGET, %plugin, "{}", shown(&message.data));
                    fan_out.output(OutputSource::Stdout, message.data).await;
                }
                Source::Stderr => {
                    tracing::debug!(target: TARGET, %plugin, stderr = true, "{}", shown(&message.data));
                    fan_out.output(OutputSource::Stderr, message.data).await;
                }
                Source::Invalid => {
                    tracing::warn!(parent: None, plugin = &*plugin.name, "output from an unknown source was dropped")
                }
            }
        }
        Ok::<_, tonic::Status>(())
    };
    let ended = ended.await;
    let plugin = fan_out.id();
    match ended {
        Ok(()) => {
            tracing::trace!(%plugin, "the plugin's output has ended");
            CallEnd::Complete
        }
        Err(status) if status.code() == Code::Unimplemented => {
            tracing::debug!(%plugin, "the plugin does not forward its output");
            CallEnd::Complete
        }
        // A Go plugin ends so: it closes its connections.
        Err(status) => {
            tracing::debug!(%plugin, error = %status, "the connection of the plugin's output broke");
            CallEnd::Broken
        }
    }
}

/// The part of a piece that an event shows.
fn shown(bytes: &[u8]) -> Cow<'_, str> {
    let bytes = &bytes[..bytes.len().min(SHOWN)];
    String::from_utf8_lossy(bytes.strip_suffix(b"\n").unwrap_or(bytes))
}

/// The target of the events that show output.
const TARGET: &str = "plugin::stdout";

const SHOWN: usize = 8 << 10;

/// The limit of a piece. go-plugin sends at most 1 KiB at a time.
const MAX_PIECE: usize = 16 << 20;
