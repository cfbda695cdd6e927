//! The gRPC services of one server, found by name.

use std::{convert::Infallible, fmt, future::poll_fn, pin::Pin, sync::Arc, task};

use bytes::Bytes;
use http::{Request, Response};
use rpcplugin_core::TraceContext;
use tonic::{Status, body::Body, server::NamedService};
use tower_layer::Layer;
use tower_service::Service;

use crate::trace::TraceServices;

/// A set of gRPC services, each found by the name in a call's path.
///
/// Cheap to clone. Later additions under the same name replace earlier ones.
#[derive(Clone, Default)]
pub struct Services {
    /// A plugin has a handful of services: comparing their names in turn beats hashing the path.
    routes: Arc<Vec<(&'static str, Route)>>,
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
        self.with(S::NAME, Route::new(service))
    }

    /// Adds the services of another set.
    #[must_use]
    pub fn merge(mut self, other: &Self) -> Self {
        for (name, route) in other.routes.iter() {
            self = self.with(name, route.clone());
        }
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
        let wrap = |(name, route): &(_, Route)| (*name, Route::new(layer.layer(route.clone())));
        Self { routes: Arc::new(self.routes.iter().map(wrap).collect()) }
    }

    /// Wraps every service in [`TraceServices`]. A call without a trace, as most are, costs nothing more. Services added
    /// later are not wrapped.
    #[must_use]
    pub fn traced(self) -> Self {
        let wrap = |(name, route): &(_, Route)| (*name, Route(Arc::new(Traced(route.clone()))));
        Self { routes: Arc::new(self.routes.iter().map(wrap).collect()) }
    }

    /// The full names of all services, such as `kv.v1.Kv`, in the order in which they were added.
    pub fn names(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.routes.iter().map(|(name, _)| *name)
    }

    /// Whether there is no service at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.routes.is_empty()
    }

    /// Hands a request to the service that its path names, or answers UNIMPLEMENTED.
    pub(crate) fn dispatch(&self, request: Request<Body>) -> ResponseFuture {
        let path = request.uri().path();
        let name = path.strip_prefix('/').and_then(|path| path.split_once('/')).map_or("", |(name, _)| name);
        if let Some((_, route)) = self.routes.iter().find(|(known, _)| *known == name) {
            return route.0.call(request);
        }
        // What grpc-go says, so that hosts which look for the words find them.
        let response = Status::unimplemented(format!("unknown service {name}")).into_http();
        Box::pin(std::future::ready(Ok(response)))
    }

    fn with(mut self, name: &'static str, route: Route) -> Self {
        let routes = Arc::make_mut(&mut self.routes);
        match routes.iter_mut().find(|(known, _)| *known == name) {
            Some((_, old)) => *old = route,
            None => routes.push((name, route)),
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
        Box::pin(async move {
            poll_fn(|cx| service.poll_ready(cx)).await?;
            Ok(service.call(request).await?.map(Body::new))
        })
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
        self.dispatch(request)
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
