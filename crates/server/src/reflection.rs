//! Reflection: the plugin tells which services it has, so that tools can call them without their definitions.

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

/// Both versions of the reflection service, over these descriptors and services.
///
/// Descriptors are decoded with the first request: most plugins are never asked.
pub(crate) fn services(descriptors: Vec<&'static [u8]>, names: Vec<&'static str>) -> Services {
    let about = Arc::new(About { descriptors, names });
    Services::new().add(Lazy::<V1>::new(&about)).add(Lazy::<V1Alpha>::new(&about))
}

struct About {
    descriptors: Vec<&'static [u8]>,
    names: Vec<&'static str>,
}

impl About {
    fn builder(&self) -> Builder<'_> {
        let own = [
            rpcplugin_proto::FILE_DESCRIPTOR_SET,
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
    /// The service, or `None` for descriptors that do not decode.
    fn build(about: &About) -> Option<Services>;
}

enum V1 {}

impl Version for V1 {
    const NAME: &'static str = "grpc.reflection.v1.ServerReflection";

    fn build(about: &About) -> Option<Services> {
        about.builder().build_v1().ok().map(|service| Services::new().add(service))
    }
}

enum V1Alpha {}

impl Version for V1Alpha {
    const NAME: &'static str = "grpc.reflection.v1alpha.ServerReflection";

    fn build(about: &About) -> Option<Services> {
        about.builder().build_v1alpha().ok().map(|service| Services::new().add(service))
    }
}

/// A reflection service that is made when it is first called.
struct Lazy<V> {
    about: Arc<About>,
    made: Arc<OnceLock<Services>>,
    version: PhantomData<fn() -> V>,
}

impl<V: Version> Lazy<V> {
    fn new(about: &Arc<About>) -> Self {
        Self { about: Arc::clone(about), made: Arc::default(), version: PhantomData }
    }
}

impl<V> Clone for Lazy<V> {
    fn clone(&self) -> Self {
        Self { about: Arc::clone(&self.about), made: Arc::clone(&self.made), version: PhantomData }
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
            V::build(&self.about).unwrap_or_else(|| {
                tracing::warn!("a descriptor set given to this plugin cannot be decoded: reflection is off");
                Services::new()
            })
        });
        services.clone().call(request)
    }
}
