//! Support for tests of traces: a service that answers with the trace of its call, and a layer that records the spans of
//! a process.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    fmt, io,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use http::{Request, Response};
use rpcplugin::{
    PluginChannel, PluginContext, Services,
    telemetry::{TraceContext, current_trace},
};
use serde::{Deserialize, Serialize};
use tonic::{Code, Status, body::Body, server::NamedService};
use tower::{BoxError, Layer, Service, ServiceExt as _, service_fn, util::BoxCloneSyncService};
use tracing::{
    Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
};
use tracing_subscriber::{layer::Context, registry::LookupSpan};

/// A service that answers every method with the message of a status, which needs no message type.
#[derive(Clone)]
pub struct WhichTrace(Answering);

type Answering = BoxCloneSyncService<Request<Body>, Response<Body>, Infallible>;

impl WhichTrace {
    /// A service whose answer to a method is made by this function.
    pub fn new<F>(answer: impl Fn(String) -> F + Clone + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Status> + Send + 'static,
    {
        Self(BoxCloneSyncService::new(service_fn(move |request: Request<Body>| {
            let method = request.uri().path().rsplit('/').next().unwrap_or_default().to_owned();
            let answer = answer(method);
            async move { Ok(answer.await.into_http()) }
        })))
    }

    /// A service that answers with the trace of its call.
    #[must_use]
    pub fn here() -> Self {
        Self::new(async |_| here())
    }
}

impl fmt::Debug for WhichTrace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WhichTrace")
    }
}

impl NamedService for WhichTrace {
    const NAME: &'static str = "trace.WhichTrace";
}

impl Service<Request<Body>> for WhichTrace {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = tower::util::Oneshot<Answering, Request<Body>>;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), Infallible>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        self.0.clone().oneshot(request)
    }
}

/// The trace of the call that is being served.
#[must_use]
pub fn here() -> Status {
    Status::aborted(current_trace().map(|context| context.traceparent()).unwrap_or_default())
}

/// The services of a plugin that answers with the trace of a call: of the call to itself, of its call to the host (method
/// `Host`), or with the id of a brokered service that does the same (method `Broker`).
pub fn services<L, B>(context: &PluginContext, calls: L) -> Services
where
    L: Layer<PluginChannel> + Clone + Send + Sync + 'static,
    L::Service: Service<Request<Body>, Response = Response<B>, Error: Into<BoxError>, Future: Send> + Send,
    B: Send + 'static,
{
    let context = context.clone();
    let answer = move |method: String| {
        let (context, calls) = (context.clone(), calls.clone());
        async move {
            tracing::info!("asked");
            match method.as_str() {
                "Ok" => Status::ok(""),
                "Host" => {
                    let answered = ask(calls.layer(context.host_channel()), "Say").await;
                    answered.map_or_else(|status| status, Status::aborted)
                }
                "Broker" => match context.broker.serve(Services::new().add(WhichTrace::here())).await {
                    Ok(served) => {
                        let id = served.id();
                        served.detach();
                        Status::aborted(id.to_string())
                    }
                    Err(error) => Status::internal(error.to_string()),
                },
                _ => here(),
            }
        }
    };
    Services::new().add(WhichTrace::new(answer))
}

/// Calls a method of [`WhichTrace`], and returns the message of its answer.
///
/// # Errors
/// Any status other than ABORTED, which carries the answer.
pub async fn ask<S, B>(mut channel: S, method: &str) -> Result<String, Status>
where
    S: Service<Request<Body>, Response = Response<B>>,
    S::Error: Into<BoxError>,
{
    let request = Request::post(format!("http://localhost/{}/{method}", WhichTrace::NAME))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(Body::empty())
        .map_err(|error| Status::internal(error.to_string()))?;
    let ready = channel.ready().await.map_err(|error| Status::from_error(error.into()))?;
    let answer = ready.call(request).await.map_err(|error| Status::from_error(error.into()))?;
    match Status::from_header_map(answer.headers()) {
        Some(status) if status.code() == Code::Aborted => Ok(status.message().to_owned()),
        Some(status) => Err(status),
        None => Err(Status::internal("the answer has no status")),
    }
}

/// Calls a method of [`WhichTrace`], and returns the trace in its answer.
///
/// # Errors
/// As [`ask`].
pub async fn ask_trace<S, B>(channel: S, method: &str) -> Result<Option<TraceContext>, Status>
where
    S: Service<Request<Body>, Response = Response<B>>,
    S::Error: Into<BoxError>,
{
    Ok(TraceContext::parse(&ask(channel, method).await?, None))
}

/// A layer that records the spans of a process.
#[derive(Debug, Clone, Default)]
pub struct SpanLog(Arc<Mutex<Vec<SeenSpan>>>);

/// The last state of a span.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SeenSpan {
    /// The names from the root to this one, such as `plugin:launch:greet`.
    pub path: String,
    /// The crate that created the span.
    pub target: String,
    /// The level, in capitals.
    pub level: String,
    /// The fields, formatted for debugging.
    pub fields: BTreeMap<String, String>,
    /// Whether the span has closed.
    pub closed: bool,
}

/// The index of a span in the log.
struct Index(usize);

impl SpanLog {
    /// The recorded spans, in the order of their starts.
    #[must_use]
    pub fn spans(&self) -> Vec<SeenSpan> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Writes the spans to a file, for another process.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn save(&self, file: &Path) -> io::Result<()> {
        std::fs::write(file, serde_json::to_vec(&self.spans())?)
    }

    /// Reads the spans that another process wrote to a file.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn load(file: &Path) -> io::Result<Vec<SeenSpan>> {
        Ok(serde_json::from_slice(&std::fs::read(file)?)?)
    }

    fn change(&self, index: usize, change: impl FnOnce(&mut SeenSpan)) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get_mut(index).map(change);
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> tracing_subscriber::Layer<S> for SpanLog {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, ctx: Context<'_, S>) {
        let Some(span) = ctx.span(id) else { return };
        let path: Vec<_> = span.scope().from_root().map(|span| span.name()).collect();
        let mut seen = SeenSpan {
            path: path.join(":"),
            target: span.metadata().target().to_owned(),
            level: span.metadata().level().to_string(),
            fields: BTreeMap::new(),
            closed: false,
        };
        attributes.record(&mut Fields(&mut seen.fields));
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        span.extensions_mut().insert(Index(all.len()));
        all.push(seen);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, ctx: Context<'_, S>) {
        if let Some(index) = index(id, &ctx) {
            self.change(index, |seen| values.record(&mut Fields(&mut seen.fields)));
        }
    }

    fn on_close(&self, id: Id, ctx: Context<'_, S>) {
        if let Some(index) = index(&id, &ctx) {
            self.change(index, |seen| seen.closed = true);
        }
    }
}

fn index<S: Subscriber + for<'a> LookupSpan<'a>>(id: &Id, ctx: &Context<'_, S>) -> Option<usize> {
    ctx.span(id)?.extensions().get::<Index>().map(|index| index.0)
}

struct Fields<'a>(&'a mut BTreeMap<String, String>);

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name().to_owned(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().to_owned(), value.to_owned());
    }
}
