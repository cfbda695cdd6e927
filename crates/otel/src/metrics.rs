//! The metrics.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::Duration,
};

use opentelemetry::{
    KeyValue,
    metrics::{AsyncInstrument, Counter, Histogram, Meter},
};
use rpcplugin_transport::Traffic;
use tonic::Code;

use crate::{
    rpc::{CallSide, code_name},
    traffic::{Connections, Peer},
};

/// The instruments of this process.
#[derive(Debug)]
pub(crate) struct Metrics {
    client_calls: Histogram<f64>,
    server_calls: Histogram<f64>,
    errors: Counter<u64>,
    served: ServedMethods,
    #[cfg_attr(not(feature = "client"), expect(dead_code, reason = "only hosts launch"))]
    launches: Histogram<f64>,
    #[cfg_attr(not(feature = "client"), expect(dead_code, reason = "only hosts supervise"))]
    restarts: Counter<u64>,
    pub(crate) connections: Arc<Connections>,
    #[cfg_attr(
        not(all(feature = "server", feature = "rate-limit")),
        expect(dead_code, reason = "only plugins limit")
    )]
    refusals: CountedLimits,
}

/// The rate limits whose refused calls are counted.
type CountedLimits = Arc<Mutex<Vec<CountedLimit>>>;

/// A rate limit, which counts the calls that it refuses.
#[cfg(all(feature = "server", feature = "rate-limit"))]
type CountedLimit = rpcplugin_server::RateLimit;
#[cfg(not(all(feature = "server", feature = "rate-limit")))]
type CountedLimit = std::convert::Infallible;

impl Metrics {
    pub(crate) fn new(meter: &Meter) -> Self {
        let connections = Arc::<Connections>::default();
        let refusals = CountedLimits::default();
        observe_connections(meter, &connections);
        #[cfg(all(feature = "server", feature = "rate-limit"))]
        observe_refusals(meter, &refusals);
        let durations = |name, description| {
            let durations = meter.f64_histogram(name).with_unit("s").with_description(description);
            durations.with_boundaries(BOUNDARIES.to_vec()).build()
        };
        Self {
            client_calls: durations("rpc.client.call.duration", "Duration of outgoing calls."),
            server_calls: durations("rpc.server.call.duration", "Duration of incoming calls."),
            errors: meter
                .u64_counter("rpcplugin.errors")
                .with_unit("{error}")
                .with_description("Calls and launches that failed.")
                .build(),
            served: ServedMethods::default(),
            launches: durations(
                "rpcplugin.launch.duration",
                "Time from the start of a launch until the plugin was ready or the launch had failed.",
            ),
            restarts: meter
                .u64_counter("rpcplugin.plugin.restarts")
                .with_unit("{restart}")
                .with_description("How often a supervisor has restarted a plugin.")
                .build(),
            connections,
            refusals,
        }
    }

    /// Records a call that has ended.
    pub(crate) fn call(&self, side: CallSide, method: &str, code: Code, duration: Duration) {
        let (durations, operation) = match side {
            CallSide::Client => (&self.client_calls, "client_call"),
            CallSide::Server => (&self.server_calls, "server_call"),
        };
        let method = match side {
            CallSide::Client => method,
            CallSide::Server => self.served.label(method, code),
        };
        let name = code_name(code);
        let mut attributes = vec![
            KeyValue::new("rpc.system.name", "grpc"),
            KeyValue::new("rpc.method", method.to_owned()),
            KeyValue::new("rpc.response.status_code", name),
        ];
        if side.is_error(code) {
            attributes.push(KeyValue::new("error.type", name));
            self.error(operation, name.into(), ("rpc.method", method.to_owned()));
        }
        durations.record(duration.as_secs_f64(), &attributes);
    }

    /// Records that a service has begun to respond to a call of this method with messages.
    pub(crate) fn responds(&self, side: CallSide, method: &str) {
        if side == CallSide::Server {
            self.served.learn(method);
        }
    }

    /// Records a launch that has ended, with its error code if it failed.
    #[cfg(feature = "client")]
    pub(crate) fn launched(&self, plugin: &str, elapsed: Duration, error: Option<String>) {
        let mut attributes = vec![KeyValue::new(PLUGIN_NAME, plugin.to_owned())];
        if let Some(error) = error {
            attributes.push(KeyValue::new("error.type", error.clone()));
            self.error("launch", error, (PLUGIN_NAME, plugin.to_owned()));
        }
        self.launches.record(elapsed.as_secs_f64(), &attributes);
    }

    /// Records that a supervisor restarts a plugin.
    #[cfg(feature = "client")]
    pub(crate) fn restarted(&self, plugin: &str) {
        self.restarts.add(1, &[KeyValue::new(PLUGIN_NAME, plugin.to_owned())]);
    }

    /// Counts the calls that this limit refuses.
    #[cfg(all(feature = "server", feature = "rate-limit"))]
    pub(crate) fn limited_by(&self, limit: CountedLimit) {
        self.refusals.lock().unwrap_or_else(PoisonError::into_inner).push(limit);
    }

    fn error(&self, operation: &'static str, kind: String, (key, of): (&'static str, String)) {
        let operation = KeyValue::new("rpcplugin.operation", operation);
        self.errors.add(1, &[operation, KeyValue::new("error.type", kind), KeyValue::new(key, of)]);
    }
}

/// The methods of this process's services that are known from responses. Only these become labels: a generated service does
/// not list its methods, and a caller can invent any number of names.
#[derive(Debug, Default)]
struct ServedMethods(RwLock<HashSet<String>>);

impl ServedMethods {
    /// Returns the label for a call with this status: the name of the method if a service has it.
    fn label<'a>(&self, method: &'a str, code: Code) -> &'a str {
        if is_from_handler(code) {
            self.learn(method);
        }
        if self.0.read().unwrap_or_else(PoisonError::into_inner).contains(method) { method } else { OTHER }
    }

    fn learn(&self, method: &str) {
        if self.0.read().unwrap_or_else(PoisonError::into_inner).contains(method) {
            return;
        }
        let mut methods = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if methods.len() < MAX_METHODS {
            methods.insert(method.to_owned());
        }
    }
}

/// Whether a call with this code has reached the handler of an existing method. Limits, interceptors, deadlines and callers
/// that hang up cause the other codes too, and so does a method that does not exist.
fn is_from_handler(code: Code) -> bool {
    match code {
        Code::Ok
        | Code::Unknown
        | Code::InvalidArgument
        | Code::NotFound
        | Code::AlreadyExists
        | Code::FailedPrecondition
        | Code::Aborted
        | Code::OutOfRange
        | Code::Internal
        | Code::DataLoss => true,
        Code::Cancelled
        | Code::DeadlineExceeded
        | Code::PermissionDenied
        | Code::ResourceExhausted
        | Code::Unimplemented
        | Code::Unavailable
        | Code::Unauthenticated => false,
    }
}

fn observe_connections(meter: &Meter, connections: &Arc<Connections>) {
    let seen = Arc::clone(connections);
    meter
        .u64_observable_counter("rpcplugin.connection.io")
        .with_unit("By")
        .with_description("Bytes of HTTP/2 over the connections with a peer.")
        .with_callback(move |sum| observe(&seen, sum, |traffic| (traffic.bytes_sent, traffic.bytes_received)))
        .build();
    let seen = Arc::clone(connections);
    meter
        .u64_observable_counter("rpcplugin.connection.messages")
        .with_unit("{message}")
        .with_description("gRPC messages over the connections with a peer.")
        .with_callback(move |sum| {
            observe(&seen, sum, |traffic| (traffic.messages_sent, traffic.messages_received));
        })
        .build();
    let seen = Arc::clone(connections);
    meter
        .u64_observable_gauge("rpcplugin.plugin.running")
        .with_unit("{plugin}")
        .with_description("Plugins that are connected.")
        .with_callback(move |running| {
            for plugin in seen.snapshot().into_iter().filter(|seen| seen.peer.is_some()) {
                running.observe(plugin.connected, &named(&plugin.peer));
            }
        })
        .build();
}

fn observe(connections: &Connections, sum: &dyn AsyncInstrument<u64>, of: impl Fn(Traffic) -> (u64, u64)) {
    for seen in connections.snapshot() {
        for (kind, traffic) in [("main", seen.main), ("brokered", seen.brokered)] {
            let (sent, received) = of(traffic);
            for (direction, amount) in [("transmit", sent), ("receive", received)] {
                let mut attributes = named(&seen.peer);
                attributes.push(KeyValue::new("rpcplugin.connection.kind", kind));
                attributes.push(KeyValue::new("network.io.direction", direction));
                sum.observe(amount, &attributes);
            }
        }
    }
}

#[cfg(all(feature = "server", feature = "rate-limit"))]
fn observe_refusals(meter: &Meter, refusals: &CountedLimits) {
    let refusals = Arc::clone(refusals);
    meter
        .u64_observable_counter("rpcplugin.rate_limit.refusals")
        .with_unit("{call}")
        .with_description("Calls that the rate limit has refused.")
        .with_callback(move |sum| {
            let limits = refusals.lock().unwrap_or_else(PoisonError::into_inner);
            // A plugin without a rate limit exports no such metric.
            if !limits.is_empty() {
                sum.observe(limits.iter().map(CountedLimit::refused).sum(), &[]);
            }
        })
        .build();
}

/// Returns the attribute with the name of a plugin. Empty for a host.
fn named(peer: &Peer) -> Vec<KeyValue> {
    peer.iter().map(|name| KeyValue::new(PLUGIN_NAME, Arc::clone(name))).collect()
}

/// The label for calls of methods that are not known to exist.
const OTHER: &str = "_OTHER";

/// How many methods may become labels.
const MAX_METHODS: usize = 1000;

const PLUGIN_NAME: &str = "rpcplugin.plugin.name";

/// The boundaries of histograms in seconds. Those of the conventions begin at 5 ms, which is longer than most calls between
/// two processes take.
const BOUNDARIES: [f64; 17] = [
    0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
    5.0, 10.0,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_method_becomes_a_label_when_its_handler_has_responded() {
        let served = ServedMethods::default();
        for code in [
            Code::Cancelled,
            Code::DeadlineExceeded,
            Code::PermissionDenied,
            Code::ResourceExhausted,
            Code::Unimplemented,
            Code::Unavailable,
            Code::Unauthenticated,
        ] {
            assert_eq!(served.label("kv.Kv/Invented", code), OTHER, "{code:?}");
        }
        assert_eq!(served.label("kv.Kv/Get", Code::NotFound), "kv.Kv/Get");
        assert_eq!(served.label("kv.Kv/Get", Code::ResourceExhausted), "kv.Kv/Get", "the method is known");
        served.learn("kv.Kv/Watch");
        assert_eq!(served.label("kv.Kv/Watch", Code::Cancelled), "kv.Kv/Watch");
    }

    #[test]
    fn the_number_of_labels_is_bounded() {
        let served = ServedMethods::default();
        let labels: HashSet<_> = (0..2 * MAX_METHODS)
            .map(|number| served.label(&format!("kv.Kv/M{number}"), Code::Ok).to_owned())
            .collect();
        assert_eq!(labels.len(), MAX_METHODS + 1);
    }
}
