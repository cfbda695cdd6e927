//! The rate limit.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    fmt,
    future::{Ready, ready},
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll},
    time::Duration,
};

use futures_util::future::Either;
use governor::{
    Quota, RateLimiter,
    clock::{Clock as _, DefaultClock},
    nanos::Nanos,
    state::{NotKeyed, StateStore},
};
use http::{Request, Response};
use rpcplugin_config::{Rate, RateLimitConfig};
use tonic::{
    Code, Status,
    body::Body,
    metadata::{MetadataMap, MetadataValue},
};
use tonic_types::{ErrorDetails, StatusExt as _};
use tower_layer::Layer;
use tower_service::Service;

/// A tower layer that limits the rate of calls. A call beyond the rate fails at once with RESOURCE_EXHAUSTED.
///
/// There is one limit for all calls together. There may be further limits for single services and methods. A call must pass
/// every limit that applies to it. A refused call consumes no tokens from any of them, so a flood of one method does not use
/// up the limit of all. A stream counts as one call. Clones of a layer share their limits.
///
/// [`Serve`](crate::Serve) puts the layer around the plugin's own services when
/// [`PluginConfig::rate_limit`](rpcplugin_config::PluginConfig::rate_limit) is set. Health, controller, stdio, broker and
/// reflection are never limited: a host can always watch its plugin and shut it down. For brokered services use
/// [`Services::layer`](rpcplugin_transport::Services::layer).
///
/// # Retries
/// The status says when the call may be made again, in three forms: the trailer `grpc-retry-pushback-ms`, which gRPC's own
/// retries respect; a `google.rpc.RetryInfo` in the status details; and the message.
///
/// # Cost
/// A call that passes costs some tens of nanoseconds, and no allocation.
#[derive(Clone)]
pub struct RateLimit(Arc<Limits>);

/// A service behind a [`RateLimit`].
#[derive(Clone, Debug)]
pub struct RateLimited<S> {
    limit: RateLimit,
    service: S,
}

/// The token bucket of one limit.
struct Bucket {
    limiter: RateLimiter<NotKeyed, State, DefaultClock>,
    state: State,
    /// Nanoseconds until one more token is available.
    period: u64,
}

struct Limits {
    all: Bucket,
    services: BTreeMap<String, Bucket>,
    methods: BTreeMap<String, Bucket>,
    refused: AtomicU64,
}

impl RateLimit {
    /// Makes the limits of a configuration, with every bucket full.
    #[must_use]
    pub fn new(config: &RateLimitConfig) -> Self {
        let each = |rates: &rpcplugin_config::Rates| {
            rates
                .iter()
                .map(|(name, Rate { requests_per_second, burst_capacity, .. })| {
                    (
                        name.trim_start_matches('/').to_owned(),
                        Bucket::new(requests_per_second, burst_capacity),
                    )
                })
                .collect()
        };
        Self(Arc::new(Limits {
            all: Bucket::new(config.requests_per_second, config.burst_capacity),
            services: each(&config.per_service),
            methods: each(&config.per_method),
            refused: AtomicU64::new(0),
        }))
    }

    /// Returns how many calls all clones together have refused.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.0.refused.load(Relaxed)
    }

    /// Takes the tokens for one call of `path`.
    ///
    /// # Errors
    /// How long to wait if a limit refuses the call.
    fn check(&self, path: &str) -> Result<(), Duration> {
        let method = path.strip_prefix('/').unwrap_or(path);
        let service = method.split_once('/').map_or(method, |(service, _)| service);
        if UNLIMITED.contains(&service) {
            return Ok(());
        }
        let Limits { all, services, methods, .. } = &*self.0;
        let applicable = [methods.get(method), services.get(service), Some(all)];
        for (number, bucket) in applicable.into_iter().enumerate() {
            if let Some(Err(wait)) = bucket.map(Bucket::take) {
                // A refused call consumes nothing.
                applicable.into_iter().take(number).flatten().for_each(Bucket::give_back);
                return Err(wait);
            }
        }
        Ok(())
    }
}

impl<S> Layer<S> for RateLimit {
    type Service = RateLimited<S>;

    fn layer(&self, service: S) -> RateLimited<S> {
        RateLimited { limit: self.clone(), service }
    }
}

impl<S> Service<Request<Body>> for RateLimited<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Either<S::Future, Ready<Result<Response<Body>, Infallible>>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.service.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        match self.limit.check(request.uri().path()) {
            Ok(()) => Either::Left(self.service.call(request)),
            Err(wait) => {
                self.limit.0.refused.fetch_add(1, Relaxed);
                Either::Right(ready(Ok(exhausted(wait).into_http())))
            }
        }
    }
}

impl Bucket {
    fn new(requests_per_second: f64, burst: u32) -> Self {
        let burst = NonZeroU32::new(burst).unwrap_or(NonZeroU32::MIN);
        // The limiter computes `period * burst + now` in nanoseconds, in 64 bits.
        let longest = Duration::from_nanos(u64::MAX / 8 / u64::from(burst.get()));
        let period = Duration::try_from_secs_f64(requests_per_second.recip()).unwrap_or(longest);
        let period = period.clamp(Duration::from_nanos(1), longest);
        let quota = Quota::with_period(period).expect("the period is not zero").allow_burst(burst);
        let state = State::default();
        let limiter = RateLimiter::new(quota, state.clone(), DefaultClock::default());
        Self { limiter, state, period: Nanos::from(period).as_u64() }
    }

    /// Takes one token.
    ///
    /// # Errors
    /// How long to wait if the bucket is empty.
    fn take(&self) -> Result<(), Duration> {
        self.limiter.check().map_err(|not_until| {
            let now = self.limiter.clock().now();
            not_until.wait_time_from(now)
        })
    }

    /// Returns a token that [`take`](Self::take) has taken.
    fn give_back(&self) {
        let _ = self.state.0.fetch_update(Relaxed, Relaxed, |full| Some(full.saturating_sub(self.period)));
    }
}

/// When a bucket will be full again, in nanoseconds of the limiter's time. 0 before the first call. The limiter's own state
/// type cannot return a token.
#[derive(Debug, Clone, Default)]
struct State(Arc<AtomicU64>);

impl StateStore for State {
    type Key = NotKeyed;

    fn measure_and_replace<T, F, E>(&self, _: &NotKeyed, decide: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let mut before = self.0.load(Relaxed);
        loop {
            let (decision, after) = decide((before != 0).then(|| before.into()))?;
            match self.0.compare_exchange_weak(before, after.into(), Relaxed, Relaxed) {
                Ok(_) => return Ok(decision),
                Err(changed) => before = changed,
            }
        }
    }
}

/// The status of a refused call. It carries the time after which the call may be made again.
fn exhausted(wait: Duration) -> Status {
    // Rounded up: a call that comes a moment too early is refused again.
    let millis = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).saturating_add(1);
    let mut metadata = MetadataMap::new();
    metadata.insert("grpc-retry-pushback-ms", MetadataValue::from(millis));
    Status::with_error_details_and_metadata(
        Code::ResourceExhausted,
        format!("rate limit exceeded: retry in {millis} ms"),
        ErrorDetails::with_retry_info(Some(Duration::from_millis(millis))),
        metadata,
    )
}

impl fmt::Debug for RateLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimit")
            .field("services", &self.0.services.keys())
            .field("methods", &self.0.methods.keys())
            .finish_non_exhaustive()
    }
}

/// The services that a host needs to watch its plugin, to shut it down and to connect further.
const UNLIMITED: [&str; 6] = [
    "grpc.health.v1.Health",
    "plugin.GRPCBroker",
    "plugin.GRPCController",
    "plugin.GRPCStdio",
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
];

#[cfg(test)]
mod tests {
    use prost::Message as _;
    use tonic_types::pb;

    use super::*;

    fn config(requests_per_second: f64, burst: u32) -> RateLimitConfig {
        let mut config = RateLimitConfig::default();
        config.requests_per_second = requests_per_second;
        config.burst_capacity = burst;
        config
    }

    fn passed(limit: &RateLimit, path: &str, calls: usize) -> usize {
        (0..calls).filter(|_| limit.check(path).is_ok()).count()
    }

    #[test]
    fn a_burst_passes_and_the_next_call_is_refused_with_the_time_to_wait() {
        let limit = RateLimit::new(&config(0.001, 3));
        assert_eq!(passed(&limit, "/kv.Kv/Get", 10), 3);
        let wait = limit.check("/kv.Kv/Get").expect_err("the bucket is empty");
        assert!((990.0..=1000.0).contains(&wait.as_secs_f64()), "{wait:?}");
    }

    #[test]
    fn a_service_and_a_method_can_have_limits_of_their_own() {
        let mut config = config(0.001, 10);
        config.per_service.set("kv.Kv", Rate::new(0.001, 5).expect("a rate"));
        config.per_method.set("/kv.Kv/Get", Rate::new(0.001, 2).expect("a rate"));
        let limit = RateLimit::new(&config);
        assert!(format!("{limit:?}").contains(r#"services: ["kv.Kv"], methods: ["kv.Kv/Get"]"#), "{limit:?}");
        assert_eq!(passed(&limit, "/kv.Kv/Get", 10), 2);
        assert_eq!(passed(&limit, "/kv.Kv/Put", 10), 3, "the rest of the limit of the service");
        assert_eq!(
            passed(&limit, "/other.Other/Do", 10),
            5,
            "the rest of the limit of all: refused calls took nothing"
        );
    }

    #[test]
    fn a_call_that_the_limit_of_all_refuses_takes_nothing_from_its_method() {
        let mut config = config(0.001, 1);
        config.per_service.set("kv.Kv", Rate::new(0.001, 3).expect("a rate"));
        config.per_method.set("/kv.Kv/Get", Rate::new(0.001, 2).expect("a rate"));
        let limit = RateLimit::new(&config);
        assert_eq!(passed(&limit, "/kv.Kv/Get", 10), 1);
        // One call has passed. The nine that the limit of all refused took nothing.
        let Limits { services, methods, .. } = &*limit.0;
        let left = |bucket: &Bucket| (0..10).filter(|_| bucket.take().is_ok()).count();
        assert_eq!((left(&methods["kv.Kv/Get"]), left(&services["kv.Kv"])), (1, 2));
    }

    #[test]
    fn only_the_built_in_services_are_unlimited() {
        let limit = RateLimit::new(&config(0.001, 1));
        assert_eq!(passed(&limit, "/plugin.GRPCKv/Get", 10), 1);
        for path in ["/plugin.GRPCStdio2/Get", "/grpc.health.Mine/Get", "/plugin.GRPC", "plugin"] {
            assert_eq!(passed(&limit, path, 10), 0, "{path}");
        }
    }

    #[test]
    fn a_host_can_always_watch_its_plugin_and_shut_it_down() {
        let limit = RateLimit::new(&config(0.001, 1));
        assert_eq!(passed(&limit, "/kv.Kv/Get", 10), 1);
        for path in [
            "/grpc.health.v1.Health/Check",
            "/plugin.GRPCController/Shutdown",
            "/plugin.GRPCStdio/StreamStdio",
            "/plugin.GRPCBroker/StartStream",
            "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        ] {
            assert_eq!(passed(&limit, path, 10), 10, "{path}");
        }
    }

    #[test]
    fn extreme_rates_let_one_call_pass() {
        for rate in [f64::MIN_POSITIVE, 1e-9, 1.0, 1e12, f64::MAX] {
            for burst in [1, u32::MAX] {
                assert_eq!(RateLimit::new(&config(rate, burst)).check("/a/b"), Ok(()), "{rate}/{burst}");
            }
        }
    }

    /// A service that counts its calls, and has to be made ready.
    #[derive(Default)]
    struct Counting {
        ready: bool,
        calls: u32,
    }

    impl Service<Request<Body>> for Counting {
        type Response = Response<Body>;
        type Error = Infallible;
        type Future = Ready<Result<Response<Body>, Infallible>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
            if self.ready { Poll::Ready(Ok(())) } else { Poll::Pending }
        }

        fn call(&mut self, _: Request<Body>) -> Self::Future {
            self.calls += 1;
            ready(Ok(Response::new(Body::empty())))
        }
    }

    #[tokio::test]
    async fn refused_calls_are_counted_and_do_not_reach_the_service() {
        let limit = RateLimit::new(&config(0.001, 3));
        let mut limited = limit.layer(Counting::default());
        let mut context = Context::from_waker(std::task::Waker::noop());
        assert!(limited.poll_ready(&mut context).is_pending(), "the service is not ready");
        limited.service.ready = true;
        assert!(limited.poll_ready(&mut context).is_ready());
        for _ in 0..5 {
            limited.call(Request::new(Body::empty())).await.expect("infallible");
        }
        assert_eq!((limited.service.calls, limit.refused()), (3, 2));
    }

    #[test]
    fn a_refusal_says_when_to_call_again() {
        let status = exhausted(Duration::from_micros(12_400));
        assert_eq!(status.code(), Code::ResourceExhausted);
        assert_eq!(status.message(), "rate limit exceeded: retry in 13 ms");
        assert_eq!(status.metadata().get("grpc-retry-pushback-ms").expect("a trailer"), "13");
        assert_eq!(pb::Status::decode(status.details()).expect("details").code, 8);
        let retry = status.get_details_retry_info().expect("a RetryInfo");
        assert_eq!(retry.retry_delay, Some(Duration::from_millis(13)));
    }
}
