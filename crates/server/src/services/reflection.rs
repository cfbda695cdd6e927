//! The reflection service, which describes the plugin's services to tools.

use std::{
    convert::Infallible,
    marker::PhantomData,
    sync::{Arc, OnceLock},
    task::{Context, Poll},
};

use http::Request;
use rpcplugin_transport::Services;
use tonic::{body::Body, server::NamedService};
use tonic_reflection::{pb, server::Builder};
use tower_service::Service;

/// Makes both versions of the reflection service, for these descriptors and names of services.
///
/// The first request decodes the descriptors. Most plugins get no such request.
pub(crate) fn services(descriptors: Vec<&'static [u8]>, names: Vec<&'static str>) -> Services {
    let content = Arc::new(Content { descriptors, names });
    Services::new().add(Lazy::<V1>::new(&content)).add(Lazy::<V1Alpha>::new(&content))
}

struct Content {
    descriptors: Vec<&'static [u8]>,
    names: Vec<&'static str>,
}

impl Content {
    fn builder(&self) -> Builder<'_> {
        let own = [
            rpcplugin_proto::FILE_DESCRIPTOR_SET,
            rpcplugin_proto::INSTANCES_DESCRIPTOR_SET,
            tonic_health::pb::FILE_DESCRIPTOR_SET,
            pb::v1::FILE_DESCRIPTOR_SET,
            pb::v1alpha::FILE_DESCRIPTOR_SET,
        ];
        let mut builder = Builder::configure().include_reflection_service(false);
        for set in self.descriptors.iter().chain(&own) {
            builder = builder.register_encoded_file_descriptor_set(set);
        }
        self.names.iter().fold(builder, |builder, name| builder.with_service_name(*name))
    }
}

/// A version of the reflection service.
trait Version: Send + Sync + 'static {
    const NAME: &'static str;
    /// Makes the service. `None` if the descriptors cannot be decoded.
    fn build(content: &Content) -> Option<Services>;
}

enum V1 {}

impl Version for V1 {
    const NAME: &'static str = "grpc.reflection.v1.ServerReflection";

    fn build(content: &Content) -> Option<Services> {
        content.builder().build_v1().ok().map(|service| Services::new().add(service))
    }
}

enum V1Alpha {}

impl Version for V1Alpha {
    const NAME: &'static str = "grpc.reflection.v1alpha.ServerReflection";

    fn build(content: &Content) -> Option<Services> {
        content.builder().build_v1alpha().ok().map(|service| Services::new().add(service))
    }
}

/// A reflection service that is made by the first call.
struct Lazy<V> {
    content: Arc<Content>,
    made: Arc<OnceLock<Services>>,
    version: PhantomData<fn() -> V>,
}

impl<V: Version> Lazy<V> {
    fn new(content: &Arc<Content>) -> Self {
        Self { content: Arc::clone(content), made: Arc::default(), version: PhantomData }
    }
}

impl<V> Clone for Lazy<V> {
    fn clone(&self) -> Self {
        Self { content: Arc::clone(&self.content), made: Arc::clone(&self.made), version: PhantomData }
    }
}

impl<V: Version> NamedService for Lazy<V> {
    const NAME: &'static str = V::NAME;
}

impl<V: Version> Service<Request<Body>> for Lazy<V> {
    type Response = <Services as Service<Request<Body>>>::Response;
    type Error = Infallible;
    type Future = <Services as Service<Request<Body>>>::Future;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let services = self.made.get_or_init(|| {
            V::build(&self.content).unwrap_or_else(|| {
                tracing::warn!("a descriptor set of this plugin cannot be decoded: reflection is off");
                Services::new()
            })
        });
        services.clone().call(request)
    }
}
