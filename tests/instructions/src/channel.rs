//! A whole unary call with both sides in this process: on the channel of this library, and on the channel of tonic.

use std::sync::Arc;

use rpcplugin_proto::{Empty, GrpcController, GrpcControllerClient, GrpcControllerServer};
use rpcplugin_transport::{
    Listen, SecureStream, Security, Services, Stream,
    http2::{self, ChannelError, Connect, PluginChannel, Serving},
};
use tokio::{runtime::Runtime, sync::mpsc};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, body::Body, client::GrpcService, codegen::StdError};

use crate::{Piece, TIMES, Work};

pub(crate) const PIECES: &[Piece] = &[
    ("channel: a unary call", || calls(|channel| channel)),
    ("channel: a unary call on tonic's channel", || calls(|channel| channel.tonic_channel())),
];

struct Controller;

#[tonic::async_trait]
impl GrpcController for Controller {
    async fn shutdown(&self, _: Request<Empty>) -> Result<Response<Empty>, Status> {
        Ok(Response::new(Empty {}))
    }
}

/// A connector that makes streams within the process.
struct Handed(mpsc::UnboundedReceiver<Stream>);

impl Listen for Handed {
    async fn accept(&mut self) -> Option<Stream> {
        self.0.recv().await
    }
}

struct Hand(mpsc::UnboundedSender<Stream>);

impl Connect for Hand {
    async fn connect(&self) -> Result<SecureStream, ChannelError> {
        let (near, far) = tokio::io::duplex(1 << 16);
        // If the other end is not accepted, the connection breaks.
        let _ = self.0.send(Stream::other(far));
        Ok(Security::Plain.client(Stream::other(near)).await?)
    }
}

fn runtime() -> Arc<Runtime> {
    Arc::new(
        tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap_or_else(|error| panic!("no runtime: {error}")),
    )
}

/// Calls one after another on an open connection.
fn calls<C>(channel: fn(PluginChannel) -> C) -> Work
where
    C: GrpcService<Body> + 'static,
    C::Error: Into<StdError>,
    C::ResponseBody: http_body::Body<Data = bytes::Bytes> + Send + 'static,
    <C::ResponseBody as http_body::Body>::Error: Into<StdError> + Send,
{
    let runtime = runtime();
    let mut client = runtime.block_on(async {
        let (hand, handed) = mpsc::unbounded_channel();
        let services = Services::new().add(GrpcControllerServer::new(Controller));
        let serving = Serving::new(services, Security::Plain, CancellationToken::new());
        tokio::spawn(http2::serve(Handed(handed), serving));
        let channel = channel(http2::connect_lazy(Hand(hand), &http2::Settings::default()));
        let mut client = GrpcControllerClient::new(channel);
        assert!(client.shutdown(Empty {}).await.is_ok(), "it is served");
        client
    });
    Box::new(move || {
        runtime.block_on(async {
            for _ in 0..TIMES {
                assert!(client.shutdown(Empty {}).await.is_ok(), "it is served");
            }
        });
    })
}
