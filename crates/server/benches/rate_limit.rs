//! The cost of the rate limit for a call that passes and for a call that is refused.

use std::{
    convert::Infallible,
    future::{Ready, ready},
    task::{Context, Poll, Waker},
};

use http::{Request, Response};
use rpcplugin_config::RateLimitConfig;
use rpcplugin_server::{RateLimit, RateLimited};
use tonic::body::Body;
use tower_layer::Layer as _;
use tower_service::Service;

fn main() {
    divan::main();
}

/// A service that responds at once.
#[derive(Clone)]
struct AtOnce;

impl Service<Request<Body>> for AtOnce {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<Body>) -> Self::Future {
        ready(Ok(Response::new(Body::empty())))
    }
}

fn limited(requests_per_second: f64, burst_capacity: u32) -> RateLimited<AtOnce> {
    let mut config = RateLimitConfig::default();
    config.requests_per_second = requests_per_second;
    config.burst_capacity = burst_capacity;
    RateLimit::new(&config).layer(AtOnce)
}

fn call(bencher: divan::Bencher<'_, '_>, service: &RateLimited<AtOnce>) {
    bencher
        .with_inputs(|| {
            let mut request = Request::new(Body::empty());
            *request.uri_mut() = http::Uri::from_static("/kv.v1.Kv/Get");
            (service.clone(), request)
        })
        .bench_values(|(mut service, request)| {
            let mut response = std::pin::pin!(service.call(request));
            response.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready()
        });
}

#[divan::bench]
fn unlimited(bencher: divan::Bencher<'_, '_>) {
    bencher
        .with_inputs(|| Request::new(Body::empty()))
        .bench_values(|request| AtOnce.call(request).into_inner().is_ok());
}

#[divan::bench]
fn passes(bencher: divan::Bencher<'_, '_>) {
    call(bencher, &limited(1e9, u32::MAX));
}

#[divan::bench]
fn is_refused(bencher: divan::Bencher<'_, '_>) {
    let service = limited(0.001, 1);
    call(bencher, &service);
}
