//! The cost of finding the service of a call, among as many services as a plugin has.

use std::{
    convert::Infallible,
    future::{Ready, ready},
    hint::black_box,
    task::{Context, Poll, Waker},
};

use http::{Request, Response};
use rpcplugin_transport::Services;
use tonic::{body::Body, server::NamedService};
use tower_service::Service;

fn main() {
    divan::main();
}

/// A service that responds at once.
#[derive(Clone)]
struct Named<const N: usize>;

macro_rules! named {
    ($($n:literal $name:literal),+) => { $(
        impl NamedService for Named<$n> {
            const NAME: &'static str = $name;
        }
    )+ };
}

named!(0 "grpc.health.v1.Health", 1 "plugin.GRPCBroker", 2 "plugin.GRPCController", 3 "plugin.GRPCStdio", 4 "kv.v1.Kv");

impl<const N: usize> Service<Request<Body>> for Named<N> {
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

fn services() -> Services {
    Services::new().add(Named::<0>).add(Named::<1>).add(Named::<2>).add(Named::<3>).add(Named::<4>)
}

/// Measures a call to one path. The request is made beforehand.
fn call(bencher: divan::Bencher<'_, '_>, path: &'static str) {
    let services = services();
    bencher
        .with_inputs(|| {
            let mut request = Request::new(Body::empty());
            *request.uri_mut() = http::Uri::from_static(path);
            (services.clone(), request)
        })
        .bench_values(|(mut services, request)| {
            let mut answer = services.call(black_box(request));
            answer.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready()
        });
}

#[divan::bench]
fn last_of_five(bencher: divan::Bencher<'_, '_>) {
    call(bencher, "/kv.v1.Kv/Get");
}

#[divan::bench]
fn unknown(bencher: divan::Bencher<'_, '_>) {
    call(bencher, "/kv.v2.Kv/Get");
}
