//! The stdio service, through which hosts read the plugin's output.

use std::{pin::Pin, sync::Arc};

use futures_util::{Stream, stream};
use rpcplugin_proto::{Channel, GrpcStdio, StdioData};
use tonic::{Request, Response, Status};

use crate::stdio::{CaptureBuffer, Source};

/// Streams the plugin's output to each host that calls, until the plugin has drained.
///
/// # Protocol
/// go-plugin `grpc_stdio.go`. Differs: of several streams, each carries all output, where Go's streams compete for it. A later
/// host gets the output from before its call that no host has read. The streams end when the plugin does.
pub(crate) struct Stdio(pub(crate) Arc<CaptureBuffer>);

#[tonic::async_trait]
impl GrpcStdio for Stdio {
    type StreamStdioStream = Pin<Box<dyn Stream<Item = Result<StdioData, Status>> + Send>>;

    async fn stream_stdio(&self, _: Request<()>) -> Result<Response<Self::StreamStdioStream>, Status> {
        let stream = stream::unfold(self.0.attach(), async |mut reader| {
            let (source, data) = reader.next().await?;
            let channel = match source {
                Source::Stdout => Channel::Stdout,
                Source::Stderr => Channel::Stderr,
            };
            Some((Ok(StdioData { channel: channel.into(), data }), reader))
        });
        Ok(Response::new(Box::pin(stream)))
    }
}
