//! The work between the HTTP/2 connection and a service of a plugin: dispatch and the rate limit.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use http::{Request, Response, Uri};
use rpcplugin_config::RateLimitConfig;
use rpcplugin_server::RateLimit;
use rpcplugin_transport::Services;
use tonic::body::Body;
use tonic::server::NamedService;
use tower_layer::Layer as _;
use tower_service::Service;

use crate::{Piece, Work, consume};

pub(crate) const PIECES: &[Piece] = &[
    ("dispatch: the last of five services", || call(services(), "/kv.v1.Kv/Get")),
    ("dispatch: an unknown service", || call(services(), "/kv.v2.Kv/Get")),
    ("rate limit: a call that passes", || limited(1e9, u32::MAX)),
    ("rate limit: a call that is refused", || limited(0.001, 1)),
];

/// A service that answers immediately.
#[derive(Clone)]
struct AtOnce<const N: usize>;

macro_rules! named {
    ($($n:literal $name:literal),+) => { $(
        impl NamedService for AtOnce<$n> {
            const NAME: &'static str = $name;
        }
    )+ };
}

named!(0 "grpc.health.v1.Health", 1 "plugin.GRPCBroker", 2 "plugin.GRPCController", 3 "plugin.GRPCStdio", 4 "kv.v1.Kv");

impl<const N: usize> Service<Request<Body>> for AtOnce<N> {
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
    Services::new().add(AtOnce::<0>).add(AtOnce::<1>).add(AtOnce::<2>).add(AtOnce::<3>).add(AtOnce::<4>)
}

fn limited(requests_per_second: f64, burst_capacity: u32) -> Work {
    let mut config = RateLimitConfig::default();
    config.requests_per_second = requests_per_second;
    config.burst_capacity = burst_capacity;
    call(RateLimit::new(&config).layer(AtOnce::<4>), "/kv.v1.Kv/Get")
}

/// Calls one path with prepared requests.
fn call<S>(mut service: S, path: &'static str) -> Work
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + 'static,
{
    let request = move || {
        let mut request = Request::new(Body::empty());
        *request.uri_mut() = Uri::from_static(path);
        request
    };
    consume(request, move |request| {
        let answer = pin!(service.call(request)).poll(&mut Context::from_waker(Waker::noop()));
        assert!(answer.is_ready(), "the call does not wait");
        answer
    })
}
