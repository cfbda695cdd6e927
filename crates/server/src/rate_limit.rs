//! How many calls are let through.

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
use prost::Message as _;
use rpcplugin_config::{Rate, RateLimitConfig};
use tonic::{
    Code, Status,
    body::Body,
    metadata::{MetadataMap, MetadataValue},
};
use tower_layer::Layer;
use tower_service::Service;

/// A tower layer that lets through only so many calls, and answers the others at once with RESOURCE_EXHAUSTED.
///
/// There is a rate for all calls together, and there may be others for single services and methods; a call has to
/// satisfy all that concern it, and one that is refused takes from none: a flood of one method leaves the rate of all to
/// the others, and other calls that fill the rate of all leave the method its own. A stream counts as one call. All clones of a layer share their rates.
///
/// [`Serve`](crate::Serve) puts it around the plugin's own services when
/// [`PluginConfig::rate_limit`](rpcplugin_config::PluginConfig::rate_limit) is set. It never limits health, controller,
/// stdio, broker or reflection: a host can always watch and end its plugin. For brokered services use
/// [`Services::layer`](rpcplugin_transport::Services::layer).
///
/// # What a caller is told
/// When to come back, in three forms: the trailer `grpc-retry-pushback-ms`, which gRPC's own retries heed; a
/// `google.rpc.RetryInfo` among the status details; and words.
///
/// A call that passes costs some tens of nanoseconds, and no allocation.
#[derive(Clone)]
pub struct RateLimit(Arc<Limits>);

/// A service behind a [`RateLimit`].
#[derive(Clone, Debug)]
pub struct RateLimited<S> {
    limit: RateLimit,
    service: S,
}

/// One rate.
struct Bucket {
    limiter: RateLimiter<NotKeyed, State, DefaultClock>,
    state: State,
    /// Nanoseconds in which one call more is let through.
    period: u64,
}

struct Limits {
    all: Bucket,
    services: BTreeMap<String, Bucket>,
    methods: BTreeMap<String, Bucket>,
    refused: AtomicU64,
}

impl RateLimit {
    /// These rates, with every bucket full.
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

    /// How many calls were refused so far, by all clones together.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.0.refused.load(Relaxed)
    }

    /// Lets one call of `path` through, or tells how long to wait.
    fn check(&self, path: &str) -> Result<(), Duration> {
        let method = path.strip_prefix('/').unwrap_or(path);
        let service = method.split_once('/').map_or(method, |(service, _)| service);
        if UNLIMITED.contains(&service) {
            return Ok(());
        }
        let Limits { all, services, methods, .. } = &*self.0;
        let asked = [methods.get(method), services.get(service), Some(all)];
        for (number, bucket) in asked.into_iter().enumerate() {
            if let Some(Err(wait)) = bucket.map(Bucket::take) {
                // What a call that is refused has taken is there for others.
                asked.into_iter().take(number).flatten().for_each(Bucket::give_back);
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
        // The limiter multiplies the two in 64 bits of nanoseconds, and adds the time.
        let longest = Duration::from_nanos(u64::MAX / 8 / u64::from(burst.get()));
        let period = Duration::try_from_secs_f64(requests_per_second.recip()).unwrap_or(longest);
        let period = period.clamp(Duration::from_nanos(1), longest);
        let quota = Quota::with_period(period).expect("the period is not zero").allow_burst(burst);
        let state = State::default();
        let limiter = RateLimiter::new(quota, state.clone(), DefaultClock::default());
        Self { limiter, state, period: Nanos::from(period).as_u64() }
    }

    /// Lets one call through, or tells how long to wait.
    fn take(&self) -> Result<(), Duration> {
        self.limiter.check().map_err(|not_until| {
            let now = self.limiter.clock().now();
            not_until.wait_time_from(now)
        })
    }

    /// Undoes what [`take`](Self::take) did.
    fn give_back(&self) {
        let _ = self.state.0.fetch_update(Relaxed, Relaxed, |full| Some(full.saturating_sub(self.period)));
    }
}

/// When a bucket will be full again, in nanoseconds of the limiter's time; 0 before the first call. The limiter's own kind
/// of state would do if a call could be given back there.
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

/// What a caller is told who has to wait.
fn exhausted(wait: Duration) -> Status {
    // Rounded up: who comes back a moment too early is refused again.
    let millis = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).saturating_add(1);
    let message = format!("rate limit exceeded: retry in {millis} ms");
    let retry =
        RetryInfo { retry_delay: prost_types::Duration::try_from(Duration::from_millis(millis)).ok() };
    let details = RpcStatus {
        code: Code::ResourceExhausted.into(),
        message: message.clone(),
        details: vec![prost_types::Any {
            type_url: "type.googleapis.com/google.rpc.RetryInfo".to_owned(),
            value: retry.encode_to_vec(),
        }],
    };
    let mut metadata = MetadataMap::new();
    metadata.insert("grpc-retry-pushback-ms", MetadataValue::from(millis));
    Status::with_details_and_metadata(
        Code::ResourceExhausted,
        message,
        details.encode_to_vec().into(),
        metadata,
    )
}

/// `google.rpc.Status`, which carries the details of an error.
#[derive(Clone, PartialEq, prost::Message)]
struct RpcStatus {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
    #[prost(message, repeated, tag = "3")]
    details: Vec<prost_types::Any>,
}

/// `google.rpc.RetryInfo`.
#[derive(Clone, PartialEq, prost::Message)]
struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    retry_delay: Option<prost_types::Duration>,
}

impl fmt::Debug for RateLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimit")
            .field("services", &self.0.services.keys())
            .field("methods", &self.0.methods.keys())
            .finish_non_exhaustive()
    }
}

/// What a host needs to watch, to end and to talk to its plugin.
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
    fn a_burst_passes_and_then_the_caller_is_told_how_long_to_wait() {
        let limit = RateLimit::new(&config(0.001, 3));
        assert_eq!(passed(&limit, "/kv.Kv/Get", 10), 3);
        let wait = limit.check("/kv.Kv/Get").expect_err("the bucket is empty");
        assert!((990.0..=1000.0).contains(&wait.as_secs_f64()), "{wait:?}");
    }

    #[test]
    fn a_service_and_a_method_can_have_less() {
        let mut config = config(0.001, 10);
        config.per_service.set("kv.Kv", Rate::new(0.001, 5).expect("a rate"));
        config.per_method.set("/kv.Kv/Get", Rate::new(0.001, 2).expect("a rate"));
        let limit = RateLimit::new(&config);
        assert_eq!(passed(&limit, "/kv.Kv/Get", 10), 2);
        assert_eq!(passed(&limit, "/kv.Kv/Put", 10), 3, "what the service has left");
        assert_eq!(
            passed(&limit, "/other.Other/Do", 10),
            5,
            "what all have left: refused calls took nothing"
        );
    }

    #[test]
    fn a_call_that_all_refuse_leaves_its_method_what_it_has() {
        let mut config = config(0.001, 1);
        config.per_service.set("kv.Kv", Rate::new(0.001, 3).expect("a rate"));
        config.per_method.set("/kv.Kv/Get", Rate::new(0.001, 2).expect("a rate"));
        let limit = RateLimit::new(&config);
        assert_eq!(passed(&limit, "/kv.Kv/Get", 10), 1);
        // One has passed; the nine that all refused together took nothing.
        let Limits { services, methods, .. } = &*limit.0;
        let left = |bucket: &Bucket| (0..10).filter(|_| bucket.take().is_ok()).count();
        assert_eq!((left(&methods["kv.Kv/Get"]), left(&services["kv.Kv"])), (1, 2));
    }

    #[test]
    fn only_the_services_of_the_protocol_are_unlimited() {
        let limit = RateLimit::new(&config(0.001, 1));
        assert_eq!(passed(&limit, "/plugin.GRPCKv/Get", 10), 1);
        for path in ["/plugin.GRPCStdio2/Get", "/grpc.health.Mine/Get", "/plugin.GRPC", "plugin"] {
            assert_eq!(passed(&limit, path, 10), 0, "{path}");
        }
    }

    #[test]
    fn a_host_can_always_watch_and_end_its_plugin() {
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
    fn extreme_rates_do_no_harm() {
        for rate in [f64::MIN_POSITIVE, 1e-9, 1.0, 1e12, f64::MAX] {
            for burst in [1, u32::MAX] {
                assert_eq!(RateLimit::new(&config(rate, burst)).check("/a/b"), Ok(()), "{rate}/{burst}");
            }
        }
    }

    #[test]
    fn a_refusal_says_when_to_come_back() {
        let status = exhausted(Duration::from_micros(12_400));
        assert_eq!(status.code(), Code::ResourceExhausted);
        assert_eq!(status.message(), "rate limit exceeded: retry in 13 ms");
        assert_eq!(status.metadata().get("grpc-retry-pushback-ms").expect("a trailer"), "13");
        let details = RpcStatus::decode(status.details()).expect("details");
        assert_eq!(details.code, 8);
        let retry = RetryInfo::decode(&*details.details[0].value).expect("a RetryInfo");
        assert_eq!(retry.retry_delay.expect("a delay").nanos, 13_000_000);
    }
}
