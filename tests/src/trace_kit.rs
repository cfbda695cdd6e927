//! What tests of traces need on both sides: a service that tells in which trace it was called, and a layer that keeps
//! the spans of a process.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    fmt, io,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use http::{Request, Response};
use rpcplugin::telemetry::{TraceContext, current_trace};
use serde::{Deserialize, Serialize};
use tonic::{Code, Status, body::Body, server::NamedService};
use tower::{Service, ServiceExt as _, service_fn, util::BoxCloneSyncService};
use tracing::{
    Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
};
use tracing_subscriber::{Layer, layer::Context, registry::LookupSpan};

/// Answers every method in the words of a status, so that there is no message to define.
#[derive(Clone)]
pub struct WhichTrace(Answering);

type Answering = BoxCloneSyncService<Request<Body>, Response<Body>, Infallible>;

impl WhichTrace {
    /// Answers the method of this name as the function says.
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

    /// Says in which trace it was called.
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

/// The trace of the call that is served.
#[must_use]
pub fn here() -> Status {
    Status::aborted(current_trace().map(|context| context.traceparent()).unwrap_or_default())
}

/// Calls a method of [`WhichTrace`], and returns the words of its answer.
///
/// # Errors
/// Any status but ABORTED, which is the one with the answer.
pub async fn ask<S, B>(mut channel: S, method: &str) -> Result<String, Status>
where
    S: Service<Request<Body>, Response = Response<B>>,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
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

/// The trace that is answered.
///
/// # Errors
/// As [`ask`].
pub async fn ask_trace<S, B>(channel: S, method: &str) -> Result<Option<TraceContext>, Status>
where
    S: Service<Request<Body>, Response = Response<B>>,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    Ok(TraceContext::parse(&ask(channel, method).await?, None))
}

/// Keeps the spans of a process.
#[derive(Debug, Clone, Default)]
pub struct SpanLog(Arc<Mutex<Vec<SeenSpan>>>);

/// A span, as it was last seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SeenSpan {
    /// The names from the root to this one, such as `plugin:launch:greet`.
    pub path: String,
    /// The crate that made it.
    pub target: String,
    /// Its level, in capitals.
    pub level: String,
    /// Its fields, as they print.
    pub fields: BTreeMap<String, String>,
    /// Whether it is over.
    pub closed: bool,
}

/// Where a span is in the log.
struct Place(usize);

impl SpanLog {
    /// What was seen so far, in the order of beginnings.
    #[must_use]
    pub fn spans(&self) -> Vec<SeenSpan> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Writes it down for another process.
    ///
    /// # Errors
    /// Where the file cannot be written.
    pub fn save(&self, file: &Path) -> io::Result<()> {
        std::fs::write(file, serde_json::to_vec(&self.spans())?)
    }

    /// Reads what another process wrote down.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub fn load(file: &Path) -> io::Result<Vec<SeenSpan>> {
        Ok(serde_json::from_slice(&std::fs::read(file)?)?)
    }

    fn change(&self, place: usize, change: impl FnOnce(&mut SeenSpan)) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get_mut(place).map(change);
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for SpanLog {
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
        span.extensions_mut().insert(Place(all.len()));
        all.push(seen);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, ctx: Context<'_, S>) {
        if let Some(place) = place(id, &ctx) {
            self.change(place, |seen| values.record(&mut Fields(&mut seen.fields)));
        }
    }

    fn on_close(&self, id: Id, ctx: Context<'_, S>) {
        if let Some(place) = place(&id, &ctx) {
            self.change(place, |seen| seen.closed = true);
        }
    }
}

fn place<S: Subscriber + for<'a> LookupSpan<'a>>(id: &Id, ctx: &Context<'_, S>) -> Option<usize> {
    ctx.span(id)?.extensions().get::<Place>().map(|place| place.0)
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
