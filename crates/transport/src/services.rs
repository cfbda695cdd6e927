//! The gRPC services of one server, found by name.

use std::{convert::Infallible, fmt, future::poll_fn, panic::AssertUnwindSafe, pin::Pin, sync::Arc, task};

use bytes::Bytes;
use futures_util::FutureExt as _;
use http::{Request, Response};
use rpcplugin_core::TraceContext;
use tonic::{Code, Status, body::Body, server::NamedService};
use tower_layer::Layer;
use tower_service::Service;

use crate::{http2::panicked, trace::TraceServices};

/// A set of gRPC services, each found by the name in a call's path.
///
/// Cheap to clone. Later additions under the same name replace earlier ones.
#[derive(Clone, Default)]
pub struct Services {
    /// A plugin has a handful of services: comparing their names in turn beats hashing the path.
    routes: Arc<Vec<Named>>,
    /// What calls of any other service are answered with, instead of UNIMPLEMENTED.
    otherwise: Option<(Code, &'static str)>,
}

#[derive(Clone)]
struct Named {
    name: &'static str,
    route: Route,
    limits: MessageLimits,
}

/// How large the messages of a service may be, in bytes on the wire: before decompression, after compression. A service whose
/// generated code has a limit of its own, such as tonic's 4 MiB, keeps that too.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MessageLimits {
    /// The largest message that is received. A larger one ends its call with RESOURCE_EXHAUSTED, by the length that stands
    /// before it. None leaves the 2 GiB of protocol buffers.
    pub receive: Option<u64>,
    /// The largest message that is sent. A larger one is replaced by RESOURCE_EXHAUSTED. None is no limit.
    pub send: Option<u64>,
}

impl MessageLimits {
    /// These two.
    #[must_use]
    pub fn new(receive: Option<u64>, send: Option<u64>) -> Self {
        Self { receive, send }
    }
}

/// One service behind a common type: what a [tower layer](Layer) wraps.
#[derive(Clone)]
pub struct Route(Arc<dyn Call>);

/// Tower layers for sets of services that are made later. Cheap to clone.
#[derive(Clone, Default)]
pub struct ServiceLayers(Vec<Arc<dyn ServiceLayer>>);

/// A tower layer that can be put around services: every [`Layer`] upon a [`Route`] whose calls are answered as gRPC's
/// are, such as [`TraceServices`](crate::TraceServices). There is nothing to implement.
pub trait ServiceLayer: Send + Sync + 'static {
    /// The services with this layer around each.
    fn wrap(&self, services: Services) -> Services;
}

impl<L, B> ServiceLayer for L
where
    L: Layer<Route> + Send + Sync + 'static,
    L::Service: Service<Request<Body>, Response = Response<B>, Error = Infallible>,
    L::Service: Clone + Send + Sync + 'static,
    <L::Service as Service<Request<Body>>>::Future: Send,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    fn wrap(&self, services: Services) -> Services {
        services.layer(self)
    }
}

type ResponseFuture = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

trait Call: Send + Sync {
    fn call(&self, request: Request<Body>) -> ResponseFuture;
}

struct Shared<S>(S);

impl Services {
    /// No service yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a generated tonic service, such as `KvServer::new(my_kv)`, bare or wrapped by interceptors and layers.
    #[must_use]
    #[expect(clippy::should_implement_trait, reason = "nobody takes a set of services for a number")]
    pub fn add<S, B>(self, service: S) -> Self
    where
        S: Service<Request<Body>, Response = Response<B>, Error = Infallible> + NamedService,
        S: Clone + Send + Sync + 'static,
        S::Future: Send,
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        self.with(Named { name: S::NAME, route: Route::new(service), limits: MessageLimits::default() })
    }

    /// Adds the services of another set.
    #[must_use]
    pub fn merge(mut self, other: &Self) -> Self {
        for named in other.routes.iter() {
            self = self.with(named.clone());
        }
        self
    }

    /// Bounds the messages of every service, where [`http2::serve`](crate::http2::serve) serves it. Services added later are
    /// not bounded.
    #[must_use]
    pub fn limited(self, limits: MessageLimits) -> Self {
        self.map(|named| Named { limits, ..named.clone() })
    }

    /// Answers the calls of services that are not among these with this status, instead of UNIMPLEMENTED.
    #[must_use]
    pub fn otherwise(mut self, code: Code, message: &'static str) -> Self {
        self.otherwise = Some((code, message));
        self
    }

    /// Wraps every service in a tower layer. Services added later are not wrapped.
    #[must_use]
    pub fn layer<L, B>(self, layer: &L) -> Self
    where
        L: Layer<Route>,
        L::Service: Service<Request<Body>, Response = Response<B>, Error = Infallible>,
        L::Service: Clone + Send + Sync + 'static,
        <L::Service as Service<Request<Body>>>::Future: Send,
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        self.map(|named| Named { route: Route::new(layer.layer(named.route.clone())), ..*named })
    }

    /// Wraps every service in [`TraceServices`]. A call without a trace, as most are, costs nothing more. Services added
    /// later are not wrapped.
    #[must_use]
    pub fn traced(self) -> Self {
        self.map(|named| Named { route: Route(Arc::new(Traced(named.route.clone()))), ..*named })
    }

    /// The full names of all services, such as `kv.v1.Kv`, in the order in which they were added.
    pub fn names(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.routes.iter().map(|named| named.name)
    }

    /// Whether there is no service at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.routes.is_empty()
    }

    /// Hands a request to the service that its path names, or answers UNIMPLEMENTED. `body` makes what the service reads, whose
    /// messages may have so many bytes. Returns too how many those of the answer may have.
    pub(crate) fn dispatch<B>(
        &self,
        request: Request<B>,
        body: impl FnOnce(B, Option<u64>) -> Body,
    ) -> (ResponseFuture, Option<u64>) {
        let name = match self.find(request.uri().path()) {
            Ok(Named { route, limits, .. }) => {
                return (route.0.call(request.map(|inner| body(inner, limits.receive))), limits.send);
            }
            Err(name) => name,
        };
        let status = match self.otherwise {
            Some((code, message)) => Status::new(code, message),
            // What grpc-go says, so that hosts which look for the words find them.
            None => Status::unimplemented(format!("unknown service {name}")),
        };
        (Box::pin(std::future::ready(Ok(status.into_http()))), None)
    }

    /// The service that a path names, or its name if there is none.
    fn find<'a>(&self, path: &'a str) -> Result<&Named, &'a str> {
        let name = path.strip_prefix('/').and_then(|path| path.split_once('/')).map_or("", |(name, _)| name);
        self.routes.iter().find(|named| named.name == name).ok_or(name)
    }

    fn map(self, change: impl Fn(&Named) -> Named) -> Self {
        Self { routes: Arc::new(self.routes.iter().map(change).collect()), ..self }
    }

    fn with(mut self, new: Named) -> Self {
        let routes = Arc::make_mut(&mut self.routes);
        match routes.iter_mut().find(|known| known.name == new.name) {
            Some(old) => *old = new,
            None => routes.push(new),
        }
        self
    }
}

impl ServiceLayers {
    /// None yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a layer around those that are there.
    #[must_use]
    pub fn layer(mut self, layer: impl ServiceLayer) -> Self {
        self.0.push(Arc::new(layer));
        self
    }

    /// The services with every layer around each.
    #[must_use]
    pub fn wrap(&self, services: Services) -> Services {
        self.0.iter().fold(services, |services, layer| layer.wrap(services))
    }
}

impl Route {
    fn new<S, B>(service: S) -> Self
    where
        S: Service<Request<Body>, Response = Response<B>, Error = Infallible> + Clone + Send + Sync + 'static,
        S::Future: Send,
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        Self(Arc::new(Shared(service)))
    }
}

impl<S, B> Call for Shared<S>
where
    S: Service<Request<Body>, Response = Response<B>, Error = Infallible> + Clone + Send + Sync + 'static,
    S::Future: Send,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    fn call(&self, request: Request<Body>) -> ResponseFuture {
        let mut service = self.0.clone();
        let answer = async move {
            poll_fn(|cx| service.poll_ready(cx)).await?;
            Ok(service.call(request).await?.map(Body::new))
        };
        // Here, so that what is around this service sees an answer. Of what the handler leaves behind nothing is used again.
        let answer = AssertUnwindSafe(answer).catch_unwind();
        Box::pin(async move { answer.await.unwrap_or_else(|panic| Ok(panicked(&*panic).into_http())) })
    }
}

/// A service that may be called as part of a trace.
struct Traced(Route);

impl Call for Traced {
    fn call(&self, request: Request<Body>) -> ResponseFuture {
        if request.headers().contains_key(TraceContext::TRACEPARENT) {
            TraceServices.layer(self.0.clone()).call(request)
        } else {
            self.0.0.call(request)
        }
    }
}

/// Hands each request to the service that its path names.
impl Service<Request<Body>> for Services {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = ResponseFuture;

    fn poll_ready(&mut self, _: &mut task::Context<'_>) -> task::Poll<Result<(), Infallible>> {
        task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> ResponseFuture {
        self.dispatch(request, |body, _| body).0
    }
}

impl Service<Request<Body>> for Route {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = ResponseFuture;

    fn poll_ready(&mut self, _: &mut task::Context<'_>) -> task::Poll<Result<(), Infallible>> {
        task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> ResponseFuture {
        self.0.call(request)
    }
}

impl fmt::Debug for Services {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}

impl fmt::Debug for ServiceLayers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ServiceLayers").field(&self.0.len()).finish()
    }
}

impl fmt::Debug for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Route")
    }
}
