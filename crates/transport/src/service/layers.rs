//! Tower layers around sets of services.

use std::{convert::Infallible, fmt, sync::Arc};

use bytes::Bytes;
use http::{Request, Response};
use tonic::body::Body;
use tower_layer::Layer;
use tower_service::Service;

use super::routes::{Route, Services};

/// Tower layers for services that are made later. Cheap to clone.
#[derive(Clone, Default)]
pub struct ServiceLayers(Vec<Arc<dyn ServiceLayer>>);

/// A tower layer that can wrap services. Every [`Layer`] for a [`Route`] implements it, such as
/// [`TraceServices`](crate::TraceServices).
pub trait ServiceLayer: Send + Sync + 'static {
    /// Wraps each of the services in this layer.
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

impl ServiceLayers {
    /// Makes an empty list of layers.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a layer around the existing layers.
    #[must_use]
    pub fn layer(mut self, layer: impl ServiceLayer) -> Self {
        self.0.push(Arc::new(layer));
        self
    }

    /// Adds the layers of another list around the existing layers.
    #[must_use]
    pub fn layers(mut self, outer: &Self) -> Self {
        self.0.extend(outer.0.iter().cloned());
        self
    }

    /// Wraps each of the services in all layers.
    #[must_use]
    pub fn wrap(&self, services: Services) -> Services {
        self.0.iter().fold(services, |services, layer| layer.wrap(services))
    }
}

impl fmt::Debug for ServiceLayers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ServiceLayers").field(&self.0.len()).finish()
    }
}
