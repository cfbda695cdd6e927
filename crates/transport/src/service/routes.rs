//! The gRPC services of one server, by name.

use std::{convert::Infallible, fmt, future::poll_fn, panic::AssertUnwindSafe, pin::Pin, sync::Arc, task};

use bytes::Bytes;
use futures_util::FutureExt as _;
use http::{Request, Response};
use rpcplugin_core::TraceContext;
use tonic::{Code, Status, body::Body, server::NamedService};
use tower_layer::Layer;
use tower_service::Service;

use super::{panic::panicked, trace::TraceServices};

/// A set of gRPC services. Each call goes to the service with the name in its path.
///
/// Cheap to clone. A service replaces an earlier service of the same name.
#[derive(Clone, Default)]
pub struct Services {
    /// A plugin has few services, so comparing their names is faster than hashing the path.
    routes: Arc<Vec<Named>>,
    /// The status for calls to any other service, instead of UNIMPLEMENTED.
    fallback: Option<(Code, &'static str)>,
}

#[derive(Clone)]
struct Named {
    name: &'static str,
    route: Route,
    limits: MessageLimits,
}

/// The largest messages of a service, in bytes on the wire: before decompression, after compression. Limits in the
/// generated code of the service, such as tonic's 4 MiB, apply too.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MessageLimits {
    /// The largest message that is received. A larger message ends its call with RESOURCE_EXHAUSTED, by the length in
    /// its prefix. `None` leaves the 2 GiB of protocol buffers.
    pub receive: Option<u64>,
    /// The largest message that is sent. A larger message is replaced by RESOURCE_EXHAUSTED. `None` is no limit.
    pub send: Option<u64>,
}

impl MessageLimits {
    /// Makes limits for received and sent messages.
    #[must_use]
    pub fn new(receive: Option<u64>, send: Option<u64>) -> Self {
        Self { receive, send }
    }
}

/// One service without its type, as a [tower layer](Layer) wraps it.
#[derive(Clone)]
pub struct Route(Arc<dyn DynService>);

type ResponseFuture = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

/// A tower service as a trait object that can be called from several tasks.
trait DynService: Send + Sync {
    fn call(&self, request: Request<Body>) -> ResponseFuture;
}

/// A tower service that is cloned for each call.
struct Cloned<S>(S);

impl Services {
    /// Makes an empty set.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a generated tonic service, such as `KvServer::new(my_kv)`, or one that is wrapped by interceptors and layers.
    #[must_use]
    #[expect(clippy::should_implement_trait, reason = "a set of services is not a number")]
    pub fn add<S, B>(self, service: S) -> Self
    where
        S: Service<Request<Body>, Response = Response<B>, Error = Infallible> + NamedService,
        S: Clone + Send + Sync + 'static,
        S::Future: Send,
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        self.add_named(S::NAME, service)
    }

    /// Adds a gRPC service under its full name, such as `kv.v1.Kv`: a service that another version of tonic generated, or any
    /// other tower service that responds with gRPC.
    ///
    /// The versions of tonic since 0.12 have the types of requests and responses in common, and each version has its own
    /// `NamedService`, which [`add`](Self::add) needs. The generated code has the name too: in `SERVICE_NAME`, beside the
    /// server, or in `NAME` of the server.
    #[must_use]
    pub fn add_named<S, B>(self, name: &'static str, service: S) -> Self
    where
        S: Service<Request<Body>, Response = Response<B>, Error = Infallible> + Clone + Send + Sync + 'static,
        S::Future: Send,
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        self.with(Named { name, route: Route::new(service), limits: MessageLimits::default() })
    }

    /// Adds the services of another set.
    #[must_use]
    pub fn merge(mut self, other: &Self) -> Self {
        for named in other.routes.iter() {
            self = self.with(named.clone());
        }
        self
    }

    /// Limits the messages of every service, as [`http2::serve`](crate::http2::serve) serves it. Services that are
    /// added later have no limits.
    #[must_use]
    pub fn limited(self, limits: MessageLimits) -> Self {
        self.map(|named| Named { limits, ..named.clone() })
    }

    /// Sets the status for calls to services outside of this set, instead of UNIMPLEMENTED.
    #[must_use]
    pub fn fallback(mut self, code: Code, message: &'static str) -> Self {
        self.fallback = Some((code, message));
        self
    }

    /// Wraps every service in a tower layer. Services that are added later are not wrapped.
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

    /// Wraps every service in [`TraceServices`]. A call without a trace costs nothing more. Services that are added
    /// later are not wrapped.
    #[must_use]
    pub fn traced(self) -> Self {
        self.map(|named| Named { route: Route(Arc::new(Traced(named.route.clone()))), ..*named })
    }

    /// The full names of all services, such as `kv.v1.Kv`, in the order in which they were added.
    pub fn names(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.routes.iter().map(|named| named.name)
    }

    /// Whether the set is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.routes.is_empty()
    }

    /// Hands a request to the service that its path names, or responds with UNIMPLEMENTED. `body` makes the body that
    /// the service reads, given the limit on its messages. Also returns the limit on the messages of the response.
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
        let status = match self.fallback {
            Some((code, message)) => Status::new(code, message),
            // The words of grpc-go, for hosts that search for them.
            None => Status::unimplemented(format!("unknown service {name}")),
        };
        (Box::pin(std::future::ready(Ok(status.into_http()))), None)
    }

    /// Finds the service that a path names, or returns the name.
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

impl Route {
    fn new<S, B>(service: S) -> Self
    where
        S: Service<Request<Body>, Response = Response<B>, Error = Infallible> + Clone + Send + Sync + 'static,
        S::Future: Send,
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        Self(Arc::new(Cloned(service)))
    }
}

impl<S, B> DynService for Cloned<S>
where
    S: Service<Request<Body>, Response = Response<B>, Error = Infallible> + Clone + Send + Sync + 'static,
    S::Future: Send,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    fn call(&self, request: Request<Body>) -> ResponseFuture {
        let mut service = self.0.clone();
        let response = async move {
            poll_fn(|cx| service.poll_ready(cx)).await?;
            Ok(service.call(request).await?.map(Body::new))
        };
        // The panic is caught here, so that the layers around the service see a response. The state of the handler is
        // not used again.
        let response = AssertUnwindSafe(response).catch_unwind();
        Box::pin(async move { response.await.unwrap_or_else(|panic| Ok(panicked(&*panic).into_http())) })
    }
}

/// A service whose calls may belong to a trace.
struct Traced(Route);

impl DynService for Traced {
    fn call(&self, request: Request<Body>) -> ResponseFuture {
        if request.headers().contains_key(TraceContext::TRACEPARENT) {
            TraceServices.layer(self.0.clone()).call(request)
        } else {
            self.0.0.call(request)
        }
    }
}

/// Hands each request to the service in its path.
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

impl fmt::Debug for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Route")
    }
}
