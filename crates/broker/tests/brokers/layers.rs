//! Interceptors and layers around services and around channels.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use rpcplugin_transport::Services;
use rpcplugin_transport::http2::PluginChannel;
use tonic::{Code, Request, Status, body::Body, service::interceptor::InterceptedService};
use tonic_health::{
    pb::{HealthCheckRequest, health_client::HealthClient, health_server::HealthServer},
    server::{HealthReporter, HealthService},
};
use tower_layer::Layer;
use tower_service::Service;

use crate::pair::{Pair, ask, in_each, named};

#[tokio::test]
async fn interceptors_apply_to_services_and_to_channels() {
    in_each(|kind| async move {
        let pair = Pair::new(kind).await;
        for (acceptor, dialer) in pair.directions() {
            let served = acceptor.serve(guarded()).await.expect("served");
            let channel = dialer.dial(served.id()).await.expect("dialled");

            let refused = HealthClient::new(channel.clone()).check(HealthCheckRequest::default()).await;
            assert_eq!(refused.expect_err("no token").code(), Code::Unauthenticated);
            let mut client = HealthClient::new(InterceptedService::new(channel, add_the_token));
            client.check(HealthCheckRequest::default()).await.expect("answered");
        }
        pair.close().await;
    })
    .await;
}

#[tokio::test]
async fn layers_apply_to_services_and_to_channels() {
    in_each(|kind| async move {
        let pair = Pair::new(kind).await;
        for (acceptor, dialer) in pair.directions() {
            let (near, far) = (Counted::default(), Counted::default());
            // One layer around all services of the set.
            let services = named("mine").await.layer(&far);
            let served = acceptor.serve(services).await.expect("served");
            let channel = dialer.dial(served.id()).await.expect("dialled");
            ask(channel.clone(), "mine").await.expect("answered");

            let mut client = HealthClient::new(near.layer(channel));
            let request = HealthCheckRequest { service: "mine".to_owned() };
            client.check(request).await.expect("answered");
            assert_eq!((near.calls(), far.calls()), (1, 2), "{kind:?}");
        }
        pair.close().await;
    })
    .await;
}

#[tokio::test]
async fn interceptors_apply_to_the_host_channel() {
    in_each(|kind| async move {
        let pair = Pair::new(kind).await;
        let _offered = pair.host.serve_host_services(guarded()).await.expect("offered");
        let channel: PluginChannel = pair.plugin.host_channel();
        let mut client = HealthClient::with_interceptor(channel, add_the_token);
        for _ in 0..3 {
            client.check(HealthCheckRequest::default()).await.expect("answered");
        }
        pair.close().await;
    })
    .await;
}

/// A service behind an interceptor.
fn guarded() -> Services {
    let health = HealthService::from_health_reporter(HealthReporter::new());
    Services::new().add(HealthServer::with_interceptor(health, only_with_a_token))
}

fn add_the_token(mut request: Request<()>) -> Result<Request<()>, Status> {
    request.metadata_mut().insert("token", "7".parse().expect("a header value"));
    Ok(request)
}

fn only_with_a_token(request: Request<()>) -> Result<Request<()>, Status> {
    let token = request.metadata().get("token");
    token.is_some().then_some(request).ok_or_else(|| Status::unauthenticated("no token"))
}

/// Counts calls.
#[derive(Debug, Clone, Default)]
struct Counted(Arc<AtomicUsize>);

impl Counted {
    fn calls(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl<S> Layer<S> for Counted {
    type Service = Counting<S>;

    fn layer(&self, inner: S) -> Counting<S> {
        Counting { inner, calls: self.clone() }
    }
}

#[derive(Debug, Clone)]
struct Counting<S> {
    inner: S,
    calls: Counted,
}

impl<S: Service<http::Request<Body>>> Service<http::Request<Body>> for Counting<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: http::Request<Body>) -> S::Future {
        self.calls.0.fetch_add(1, Ordering::Relaxed);
        self.inner.call(request)
    }
}
