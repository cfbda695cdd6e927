//! A service whose calls follow a script, and a client that reports everything that it receives.

use std::{
    collections::HashMap,
    convert::Infallible,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use rpcplugin_transport::{
    Listen, Meter, SecureStream, Security, Services, Stream,
    http2::{self, ChannelError, Connect, Lane, PluginChannel, Serving, Settings},
};
use tokio::{net::UnixStream, sync::mpsc, task::yield_now, time::timeout};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};
use tonic::{Code, Status, body::Body, server::NamedService};
use tower_service::Service;

/// What one call does.
#[derive(Debug, Clone, Default)]
pub(crate) struct Plan {
    /// The lengths of the messages that the client sends.
    pub(crate) requests: Vec<usize>,
    pub(crate) metadata: Vec<(String, Vec<u8>)>,
    /// How long the client gives the call.
    pub(crate) timeout: Option<Duration>,
    /// After how many messages of the response the client drops the call.
    pub(crate) dropped_after: Option<usize>,
    pub(crate) answer: Answer,
}

/// What the service does.
#[derive(Debug, Clone, Default)]
pub(crate) struct Answer {
    /// How many messages it reads before it responds. `None` reads all.
    pub(crate) reads: Option<usize>,
    /// How often it lets other tasks run before it responds, and between messages.
    pub(crate) yields: u8,
    /// The lengths of its messages.
    pub(crate) messages: Vec<usize>,
    pub(crate) end: Ending,
}

#[derive(Debug, Clone, Default)]
pub(crate) enum Ending {
    #[default]
    Ok,
    /// A status after the messages.
    Status(i32, String, Vec<u8>),
    /// A status in place of a response.
    Refuses(i32, String),
    /// The handler panics after its messages.
    Panics,
    /// The body fails.
    Fails,
    /// The handler waits without end.
    Hangs,
}

/// What a client has received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Received {
    pub(crate) headers: Vec<(String, Vec<u8>)>,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: Option<Vec<(String, Vec<u8>)>>,
    /// The status of a call that failed. Its text depends on the transport unless the peer has sent it.
    pub(crate) failed: Option<Code>,
    /// The messages that the service has read, unless it is not known how many it could read.
    pub(crate) read: Option<Vec<u8>>,
}

/// The plans of all calls, by the number in their headers, and what the service has read.
#[derive(Clone, Default)]
pub(crate) struct Script {
    plans: Arc<Mutex<HashMap<u64, Answer>>>,
    read: Arc<Mutex<HashMap<u64, Vec<u8>>>>,
    next: Arc<AtomicU64>,
    /// How many handlers exist.
    pub(crate) running: Arc<AtomicUsize>,
}

impl NamedService for Script {
    const NAME: &'static str = "test.Script";
}

struct Running(Arc<AtomicUsize>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

impl Service<Request<Body>> for Script {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let this = self.clone();
        this.running.fetch_add(1, Relaxed);
        let running = Running(Arc::clone(&this.running));
        Box::pin(async move { Ok(this.answer(request, running).await) })
    }
}

impl Script {
    async fn answer(self, request: Request<Body>, running: Running) -> Response<Body> {
        let number = request.headers()["x-number"].to_str().expect("text").parse::<u64>().expect("a number");
        let answer = self.plans.lock().expect("not poisoned").remove(&number).expect("planned");
        let (parts, mut body) = request.into_parts();
        let (mut read, mut messages) = (Vec::new(), 0);
        while answer.reads.is_none_or(|reads| messages < reads) {
            match body.frame().await {
                Some(Ok(frame)) => {
                    read.extend_from_slice(&frame.into_data().expect("no trailers"));
                    messages += 1;
                }
                _ => break,
            }
        }
        if answer.reads.is_none() {
            self.read.lock().expect("not poisoned").insert(number, read);
        }
        for _ in 0..answer.yields {
            yield_now().await;
        }
        if matches!(answer.end, Ending::Hangs) && answer.messages.is_empty() {
            std::future::pending::<()>().await;
        }
        if let Ending::Refuses(code, text) = &answer.end {
            return Status::new(Code::from(*code), text.clone()).into_http();
        }
        let (end, yields) = (answer.end.clone(), answer.yields);
        let frames = stream::iter(answer.messages.clone()).then(move |length| async move {
            for _ in 0..yields {
                yield_now().await;
            }
            Ok::<_, Status>(Frame::data(message(length)))
        });
        let last = stream::once(async move {
            let _running = running;
            match end {
                Ending::Ok => Ok(Frame::trailers(trailers(0, "", &[]))),
                Ending::Status(code, text, details) => Ok(Frame::trailers(trailers(code, &text, &details))),
                Ending::Refuses(..) | Ending::Hangs => std::future::pending().await,
                Ending::Panics => panic!("as planned"),
                Ending::Fails => Err(Status::data_loss("as planned")),
            }
        });
        let mut response = Response::new(Body::new(StreamBody::new(Box::pin(frames.chain(last)))));
        let headers = response.headers_mut();
        headers.insert("content-type", HeaderValue::from_static("application/grpc"));
        for (name, value) in parts.headers.iter().filter(|(name, _)| name.as_str().starts_with("x-own")) {
            headers.append(name, value.clone());
        }
        response
    }
}

/// A message with the prefix of gRPC.
pub(crate) fn message(length: usize) -> Bytes {
    let prefix = u32::try_from(length).expect("short").to_be_bytes();
    let body: Vec<u8> = (0..length).map(|at| (at % 251) as u8).collect();
    Bytes::from([&[0][..], &prefix, &body].concat())
}

fn trailers(code: i32, text: &str, details: &[u8]) -> HeaderMap {
    let mut trailers = HeaderMap::new();
    let status = Status::with_details(Code::from(code), text, Bytes::copy_from_slice(details));
    status.add_header(&mut trailers).expect("valid");
    trailers
}

/// The server's end of each connection.
struct Streams(mpsc::UnboundedReceiver<Stream>);

impl Listen for Streams {
    async fn accept(&mut self) -> Option<Stream> {
        self.0.recv().await
    }
}

struct ToServer {
    streams: mpsc::UnboundedSender<Stream>,
    opened: Arc<AtomicUsize>,
}

impl Connect for ToServer {
    async fn connect(&self) -> Result<SecureStream, ChannelError> {
        let (near, far) = UnixStream::pair().expect("a pair");
        self.opened.fetch_add(1, Relaxed);
        if self.streams.send(Stream::Unix(far)).is_err() {
            let source = "the server has ended".into();
            return Err(ChannelError::Other { what: "no connection", source });
        }
        Ok(Security::Plain.client(Stream::Unix(near)).await?)
    }
}

/// A server and a channel to it, over Unix sockets.
pub(crate) struct Pair {
    pub(crate) channel: PluginChannel,
    pub(crate) script: Script,
    pub(crate) shutdown: CancellationToken,
    pub(crate) opened: Arc<AtomicUsize>,
    pub(crate) meters: [Meter; 2],
    pub(crate) server: AbortOnDropHandle<()>,
}

impl Pair {
    /// The server accepts both. `lane` says what the channel uses.
    pub(crate) fn new(lane: bool, settings: &Settings) -> Self {
        let meters = [Meter::new(), Meter::new()];
        let (sender, streams) = mpsc::unbounded_channel();
        let (script, shutdown) = (Script::default(), CancellationToken::new());
        let mut serving =
            Serving::new(Services::new().add(script.clone()), Security::Plain, shutdown.clone());
        serving.settings = settings.clone();
        serving.settings.meter = Some(meters[1].clone());
        // A server takes both.
        serving.settings.lane = Lane::Accepted;
        serving.grace = Duration::from_secs(20);
        let server = AbortOnDropHandle::new(tokio::spawn(http2::serve(Streams(streams), serving)));
        let opened = Arc::default();
        let connector = ToServer { streams: sender, opened: Arc::clone(&opened) };
        let mut settings = settings.clone();
        settings.lane = if lane { Lane::Used } else { Lane::Off };
        settings.meter = Some(meters[0].clone());
        let channel = http2::connect_lazy(connector, &settings);
        Self { channel, script, shutdown, opened, meters, server }
    }

    /// Makes a call, and reads its response to the end.
    pub(crate) async fn call(&self, plan: Plan) -> Received {
        timeout(Duration::from_secs(20), self.unlimited(plan)).await.expect("in time")
    }

    async fn unlimited(&self, plan: Plan) -> Received {
        let number = self.script.next.fetch_add(1, Relaxed);
        let fails = matches!(plan.answer.end, Ending::Fails);
        let reads_all = plan.answer.reads.is_none() && plan.dropped_after.is_none() && plan.timeout.is_none();
        self.script.plans.lock().expect("not poisoned").insert(number, plan.answer);
        let mut request = Request::post("http://localhost/test.Script/Call").header("x-number", number);
        if let Some(limit) = plan.timeout {
            request = request.header("grpc-timeout", format!("{}m", limit.as_millis()));
        }
        for (name, value) in &plan.metadata {
            let name = HeaderName::try_from(format!("x-own-{name}")).expect("a name");
            request = request.header(name, HeaderValue::from_bytes(value).expect("a value"));
        }
        let messages =
            stream::iter(plan.requests).map(|length| Ok::<_, Status>(Frame::data(message(length))));
        let body = Body::new(StreamBody::new(messages));
        let called = self.channel.clone().call(request.body(body).expect("valid")).await;
        let mut received =
            Received { headers: vec![], body: vec![], trailers: None, failed: None, read: None };
        match called {
            Err(status) => received.failed = Some(status.code()),
            Ok(response) => {
                let (parts, mut body) = response.into_parts();
                received.headers = fields(&parts.headers);
                let mut messages = 0;
                while plan.dropped_after.is_none_or(|after| messages < after)
                    && let Some(frame) = body.frame().await
                {
                    match frame.map(Frame::into_data) {
                        Ok(Ok(data)) => {
                            received.body.extend_from_slice(&data);
                            messages += 1;
                        }
                        Ok(Err(frame)) => {
                            received.trailers = frame.into_trailers().ok().map(|trailers| fields(&trailers));
                        }
                        Err(status) => received.failed = Some(status.code()),
                    }
                }
            }
        }
        if plan.dropped_after.is_some() || fails {
            // How much of it had arrived depends on the moment. HTTP/2 drops what it has not sent before a reset.
            received.headers.clear();
            received.body.clear();
            received.trailers = None;
        }
        if plan.dropped_after.is_some() {
            received.failed = None;
        } else if fails {
            // A message before it may be too large.
            received.failed = received.failed.map(|_| Code::Internal);
        }
        received.read = self.script.read.lock().expect("not poisoned").remove(&number).filter(|_| reads_all);
        received
    }
}

fn fields(headers: &HeaderMap) -> Vec<(String, Vec<u8>)> {
    let mut fields: Vec<_> =
        headers.iter().map(|(name, value)| (name.to_string(), value.as_bytes().to_vec())).collect();
    fields.sort();
    fields
}
