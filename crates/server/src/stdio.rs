//! The service through which a host reads what the plugin prints.

use std::{pin::Pin, sync::Arc};

use futures_util::{Stream, stream};
use rpcplugin_proto::{Channel, GrpcStdio, StdioData};
use tonic::{Request, Response, Status};

use crate::output::{Output, Source};

/// Streams the plugin's output to each host that asks, until the plugin ends.
///
/// # Protocol
/// go-plugin `grpc_stdio.go`. Differs: several streams at once each get everything, where Go's compete; a host that
/// comes later gets what was printed while there was none; the streams end when the plugin does.
pub(crate) struct Stdio(pub(crate) Arc<Output>);

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
