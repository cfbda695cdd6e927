//! What a plugin prints, as it comes over the stdio service.

use std::sync::Arc;

use rpcplugin_proto::{Channel as Source, GrpcStdioClient};
use tonic::{Code, transport::Channel};

use crate::observer::Observer;

/// Reads the plugin's output to its end. To be spawned: against a Go plugin the call itself returns only with the
/// first output.
///
/// # Protocol
/// go-plugin `grpc_stdio.go`: the stream has to be read as long as the connection lives, or the plugin blocks.
pub(crate) async fn pump(channel: Channel, plugin: String, observer: Arc<dyn Observer>) {
    let mut client = GrpcStdioClient::new(channel).max_decoding_message_size(usize::MAX);
    let ended = async {
        let mut stream = client.stream_stdio(()).await?.into_inner();
        while let Some(message) = stream.message().await? {
            match message.channel() {
                Source::Stdout => {
                    tracing::debug!(target: "plugin::stdout", plugin, "{}", lossy(&message.data));
                    observer.stdout(&message.data);
                }
                Source::Stderr => {
                    tracing::debug!(target: "plugin::stdout", plugin, stderr = true, "{}", lossy(&message.data));
                    observer.stderr(&message.data);
                }
                Source::Invalid => tracing::warn!(plugin, "output of an unknown kind was dropped"),
            }
        }
        Ok::<_, tonic::Status>(())
    };
    match ended.await {
        Ok(()) => tracing::trace!(plugin, "the plugin's output has ended"),
        Err(status) if status.code() == Code::Unimplemented => {
            tracing::debug!(plugin, "the plugin does not forward its output");
        }
        // The ordinary end of a Go plugin, which cuts its connections.
        Err(status) => tracing::debug!(plugin, %status, "the plugin's output is cut off"),
    }
}

fn lossy(bytes: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(bytes.strip_suffix(b"\n").unwrap_or(bytes))
}
