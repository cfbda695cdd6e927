//! What a plugin prints, as it comes over the stdio service.

use std::borrow::Cow;

use rpcplugin_proto::{Channel as Source, GrpcStdioClient};
use rpcplugin_transport::http2::PluginChannel;
use tonic::Code;

use super::reopen::CallEnd;
use crate::observe::{fan_out::FanOut, output::OutputSource};

/// Reads the plugin's output to its end, or to that of the connection. To be spawned: against a Go plugin the call itself
/// returns only with the first output.
///
/// # Protocol
/// go-plugin `grpc_stdio.go`: the stream has to be read as long as the connection lives, or the plugin blocks.
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
                    tracing::warn!(parent: None, plugin = &*plugin.name, "output of an unknown kind was dropped")
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
        // The ordinary end of a Go plugin, which cuts its connections.
        Err(status) => {
            tracing::debug!(%plugin, error = %status, "the plugin's output is cut off");
            CallEnd::Broken
        }
    }
}

/// As much of a piece as an event shows.
fn shown(bytes: &[u8]) -> Cow<'_, str> {
    let bytes = &bytes[..bytes.len().min(SHOWN)];
    String::from_utf8_lossy(bytes.strip_suffix(b"\n").unwrap_or(bytes))
}

/// The target of all events that show what a plugin printed.
const TARGET: &str = "plugin::stdout";

const SHOWN: usize = 8 << 10;

/// go-plugin sends at most 1 KiB at a time, and no plugin has a reason to send much more.
const MAX_PIECE: usize = 16 << 20;
