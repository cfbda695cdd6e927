//! Connections. Whatever a peer sends, a connection ends with its peer, its calls end, and no more comes out of it than was sent.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, uri::PathAndQuery};
use http_body_util::{BodyExt as _, Full};
use rpcplugin_proto::GrpcStdioClient;
use rpcplugin_transport::{
    Listen, MessageLimits, SecureStream, Security, Services, Stream,
    fuzzing::{read_frames, receive},
    http2::{self, ChannelError, Connect, Lane, Serving, Settings},
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status};
use tower_service::Service;

use crate::{input::Input, memory};

/// The role, and what a peer sends on the lane in pieces, each with its length.
pub(crate) fn lane(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let client = input.flag();
    read_frames(input.rest());
    let mut pieces = Vec::new();
    while !input.is_empty() {
        pieces.push(input.piece());
    }
    receive(client, &pieces);
}

/// The form of the connection, and what a host sends in pieces, each with its length.
pub(crate) fn http2_server(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let form = input.byte();
    let is_http2 = form & 2 == 0;
    let mut settings = settings();
    settings.lane = if is_http2 { Lane::Off } else { Lane::Accepted };
    let length = input.rest().len();
    let (received, sent) = memory::run(async move {
        let (near, far) = tokio::io::duplex(1 << 12);
        let received = Arc::new(AtomicUsize::new(0));
        let services = Services::new()
            .add_named("a.B", Echo(received.clone()))
            .limited(MessageLimits::new(Some(LONGEST_MESSAGE), None));
        let mut serving = Serving::new(services, Security::Plain, CancellationToken::new());
        serving.settings = settings;
        let serve = http2::serve(One(Some(Stream::other(near))), serving);
        let ((), sent) = tokio::join!(serve, peer(far, if form & 1 == 0 { PREFACE } else { b"" }, input));
        (received.load(Relaxed), sent)
    });
    assert!(received <= length, "{received} bytes of {length} were received");
    if is_http2 {
        check_frames(&sent);
    }
}

/// The form of the connection, and what a plugin sends in pieces, each with its length.
pub(crate) fn http2_client(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let form = input.byte();
    let is_http2 = form & 2 == 0;
    let mut settings = settings();
    settings.lane = if is_http2 { Lane::Off } else { Lane::Used };
    let length = input.rest().len();
    let sent = memory::run(async move {
        let (near, far) = tokio::io::duplex(1 << 12);
        let calls = async {
            let to = To(Mutex::new(Some(near)));
            let Ok(channel) =
                http2::connect(to, &settings).await.map_err(|error| crate::input::check_error(&error))
            else {
                return;
            };
            let unary = async {
                let mut grpc = tonic::client::Grpc::new(channel.clone());
                grpc.ready().await?;
                let mut request = tonic::Request::new(());
                request.set_timeout(Duration::from_secs(60));
                let codec: tonic_prost::ProstCodec<(), ()> = tonic_prost::ProstCodec::default();
                grpc.unary(request, PathAndQuery::from_static("/a.B/C"), codec).await.map(drop)
            };
            let (unary, output) = tokio::join!(unary, output(GrpcStdioClient::new(channel.clone())));
            for status in [unary.err(), output.1] {
                assert!(status.is_none_or(|status| status.code() != Code::Ok), "a status that is no error");
            }
            assert!(output.0 <= length, "{} bytes of {length} were received", output.0);
        };
        let ((), sent) = tokio::join!(calls, peer(far, if form & 1 == 0 { SETTINGS } else { b"" }, input));
        sent
    });
    if is_http2 {
        check_frames(sent.strip_prefix(&PREFACE[..24]).unwrap_or_default());
    }
}

/// Reads forwarded output to its end. Returns the number of its bytes, and the status.
async fn output(mut client: GrpcStdioClient<http2::PluginChannel>) -> (usize, Option<Status>) {
    let mut received = 0;
    let read = async {
        let mut stream = client.stream_stdio(()).await?.into_inner();
        while let Some(message) = stream.message().await? {
            received += message.data.len();
        }
        Ok::<_, Status>(())
    };
    let status = read.await.err();
    (received, status)
}

/// Sends what a peer sends, and returns what comes from this side.
async fn peer(far: DuplexStream, first: &[u8], mut input: Input<'_>) -> Vec<u8> {
    let (mut reader, mut writer) = tokio::io::split(far);
    let send = async {
        let _ = writer.write_all(first).await;
        while !input.is_empty() {
            let _ = writer.write_all(input.piece()).await;
            // The other side works meanwhile.
            tokio::task::yield_now().await;
        }
        let _ = writer.shutdown().await;
    };
    let mut sent = Vec::new();
    let _ = tokio::join!(send, reader.read_to_end(&mut sent));
    sent
}

/// Limits that short inputs reach.
fn settings() -> Settings {
    let mut settings = Settings::default();
    settings.stream_window = 1 << 16;
    settings.connection_window = 1 << 17;
    settings.max_frame = 1 << 14;
    settings.max_headers = 1 << 10;
    settings.max_receive_message_size = Some(LONGEST_MESSAGE);
    settings
}

/// Looks at the frames that this side has sent: each is of a known kind, and no longer than the smallest limit of a peer.
fn check_frames(mut bytes: &[u8]) {
    while let Some((header, rest)) = bytes.split_first_chunk::<9>() {
        let [a, b, c, kind, ..] = *header;
        let length = u32::from_be_bytes([0, a, b, c]) as usize;
        assert!(kind <= 9, "a frame of the kind {kind}");
        bytes = rest.get(length..).unwrap_or_default();
    }
}

/// A listener with one connection.
struct One(Option<Stream>);

impl Listen for One {
    async fn accept(&mut self) -> Option<Stream> {
        self.0.take()
    }
}

/// Opens one connection.
struct To(Mutex<Option<DuplexStream>>);

impl Connect for To {
    async fn connect(&self) -> Result<SecureStream, ChannelError> {
        let stream = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        let stream = stream.ok_or(ChannelError::Timeout(Duration::from_secs(1)))?;
        Ok(Security::Plain.client(Stream::other(stream)).await?)
    }
}

/// Responds with the bytes that came, and counts them.
#[derive(Clone)]
struct Echo(Arc<AtomicUsize>);

type EchoBody = http_body_util::combinators::UnsyncBoxBody<Bytes, Infallible>;

impl<B> Service<Request<B>> for Echo
where
    B: http_body_util::BodyExt<Data = Bytes> + Send + 'static,
{
    type Response = Response<EchoBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let received = self.0.clone();
        Box::pin(async move {
            let body = request.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
            received.fetch_add(body.len(), Relaxed);
            let trailers =
                HeaderMap::from_iter([("grpc-status", "0")].map(|(name, value)| {
                    (http::HeaderName::from_static(name), HeaderValue::from_static(value))
                }));
            let body = Full::new(body).with_trailers(std::future::ready(Some(Ok(trailers))));
            Ok(Response::new(body.boxed_unsync()))
        })
    }
}

const LONGEST_MESSAGE: u64 = 1 << 10;

/// What a client sends first.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

/// What a server sends first.
const SETTINGS: &[u8] = b"\0\0\0\x04\0\0\0\0\0";
