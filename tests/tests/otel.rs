//! The telemetry of a host and of a plugin, as a collector receives it.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "otel/collector.rs"]
mod collector;

use std::{
    collections::BTreeSet,
    process::Stdio,
    sync::{Arc, Mutex},
    time::Duration,
};

use opentelemetry_proto::tonic::trace::v1::{Span, span::SpanKind, status::StatusCode};
use rpcplugin::{
    Command, Host, LaunchError, MagicCookie, Services,
    broker::ServiceId,
    host::{LogRecord, Observer, Stdin},
    telemetry::{Telemetry, TelemetryBuilder},
};
use rpcplugin_tests::{
    support::{process::send, programs::example},
    tracing_support::{WhichTrace, ask},
};
use rustix::process::Signal;
use tonic::Code;
use tower::Layer as _;
use tracing::Instrument as _;
use tracing_subscriber::layer::SubscriberExt as _;

use self::collector::{Collector, attributes};

/// Held by each test that launches a plugin. The subscriber of one test is that of the whole process, and would also record
/// the launches of the others.
static LAUNCHES: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// A host with a long grace: on a busy machine, a plugin needs time to send the rest of its telemetry.
fn host() -> Host {
    Host::new(MagicCookie::new("OTEL_KIT_COOKIE", "otel").unwrap(), 1)
        .configure(|config| config.grace = Duration::from_secs(30))
}

fn command(endpoint: &str) -> Command {
    Command::new(env!("CARGO_BIN_EXE_otel-plugin"))
        .stdin(Stdin::Null)
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
}

fn telemetry(service: &str, endpoint: &str) -> TelemetryBuilder {
    Telemetry::builder().service_name(service).endpoint(endpoint).flush_timeout(Duration::from_secs(30))
}

/// An observer of logs.
#[derive(Clone, Default)]
struct Logged(Arc<Mutex<Vec<LogRecord>>>);

impl Observer for Logged {
    fn log(&self, record: &LogRecord) {
        self.0.lock().unwrap().push(record.clone());
    }
}

/// The only span with this name and kind.
#[track_caller]
fn one<'a>(spans: &'a [Span], name: &str, kind: SpanKind) -> &'a Span {
    let found: Vec<_> =
        spans.iter().filter(|span| span.name == name && span.kind == i32::from(kind)).collect();
    let [one] = found[..] else { panic!("{} spans {name} {kind:?} in {spans:#?}", found.len()) };
    one
}

#[track_caller]
fn is_child(child: &Span, parent: &Span) {
    assert_eq!(child.trace_id, parent.trace_id, "{child:#?} is in another trace than {parent:#?}");
    assert_eq!(child.parent_span_id, parent.span_id, "{child:#?} is not a child of {parent:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn spans_and_metrics_of_both_sides_reach_the_collector() {
    let _launches = LAUNCHES.lock().await;
    let collector = Collector::start().await;
    let telemetry = telemetry("otel-host", &collector.endpoint).build().unwrap();
    // No other test of this process sets a subscriber, and none launches a plugin meanwhile.
    tracing::subscriber::set_global_default(tracing_subscriber::registry().with(telemetry.layer())).unwrap();
    let logged = Logged::default();
    let host =
        telemetry.host(host().callbacks(Services::new().add(WhichTrace::here()))).observe(logged.clone());
    let command = command(&collector.endpoint)
        .env("PLUGIN_RATE_LIMIT_ENABLED", "true")
        .env("PLUGIN_RATE_LIMIT_REQUESTS_PER_SECOND", "0.001")
        .env("PLUGIN_RATE_LIMIT_BURST_CAPACITY", "4");
    let plugin = host.launch(command).await.unwrap();
    let channel = plugin.channel_with(&telemetry.calls());
    let run = async {
        ask(channel.clone(), "Host").await.unwrap();
        for _ in 0..2 {
            assert_eq!(ask(channel.clone(), "Ok").await.unwrap_err().code(), Code::Ok);
        }
        let id = ServiceId(ask(channel.clone(), "Broker").await.unwrap().parse().unwrap());
        for _ in 0..3 {
            assert_eq!(ask(channel.clone(), "Ok").await.unwrap_err().code(), Code::ResourceExhausted);
        }
        let brokered = plugin.broker().dial(id).await.unwrap();
        ask(telemetry.calls().layer(brokered), "Brokered").await.unwrap();
    };
    run.instrument(tracing::info_span!("request")).await;
    plugin.shut_down().await;
    assert!(telemetry.shut_down().await, "all was sent");

    // The log of the plugin has the id of the trace, and no fields for a collector.
    let asked = logged.0.lock().unwrap().iter().find(|record| record.message == "asked").cloned().unwrap();
    let names: Vec<_> = asked.fields.iter().map(|(name, _)| name.as_str()).collect();
    assert!(names.contains(&"trace.id") && !names.contains(&"otel.kind"), "{asked:?}");
    spans_join_across_processes(&collector);
    metrics_of_the_host(&collector);
    metrics_of_the_plugin(&collector);
    let everything = collector.everything();
    for secret in ["OTEL_KIT_COOKIE", "BEGIN ", "MII"] {
        assert!(!everything.contains(secret), "{secret} was sent to the collector");
    }
}

fn spans_join_across_processes(collector: &Collector) {
    let (ours, theirs) = (collector.spans("otel-host"), collector.spans("otel-plugin"));
    let request = one(&ours, "request", SpanKind::Internal);
    let asked = one(&ours, "trace.WhichTrace/Host", SpanKind::Client);
    is_child(asked, request);
    let answered = one(&theirs, "trace.WhichTrace/Host", SpanKind::Server);
    is_child(answered, asked);
    let asked_back = one(&theirs, "trace.WhichTrace/Say", SpanKind::Client);
    is_child(asked_back, answered);
    is_child(one(&ours, "trace.WhichTrace/Say", SpanKind::Server), asked_back);
    let brokered = one(&ours, "trace.WhichTrace/Brokered", SpanKind::Client);
    is_child(brokered, request);
    is_child(one(&theirs, "trace.WhichTrace/Brokered", SpanKind::Server), brokered);

    let printed = attributes(&asked.attributes);
    assert_eq!(printed["rpc.system.name"], "grpc");
    assert_eq!(printed["rpc.method"], "trace.WhichTrace/Host");
    assert_eq!(
        (printed["rpc.response.status_code"].as_str(), printed["error.type"].as_str()),
        ("ABORTED", "ABORTED")
    );
    let status = |span: &Span| span.status.as_ref().map_or(0, |status| status.code);
    assert_eq!(status(asked), i32::from(StatusCode::Error));
    assert_eq!(
        status(answered),
        i32::from(StatusCode::Unset),
        "what a caller asks for is no fault of a server"
    );

    for (spans, steps) in [
        (&ours, &["launch", "shutdown"][..]),
        (&theirs, &["launch", "greet", "connect", "shutdown", "broker"][..]),
    ] {
        let life = one(spans, "plugin", SpanKind::Internal);
        assert!(attributes(&life.attributes).contains_key("plugin.pid"));
        for step in steps {
            let found = |span: &&Span| span.name == *step && span.parent_span_id == life.span_id;
            assert!(spans.iter().any(|span| found(&span)), "{step} in {spans:#?}");
        }
    }
    let launch = one(&ours, "launch", SpanKind::Internal);
    is_child(one(&ours, "greet", SpanKind::Internal), launch);
}

fn metrics_of_the_host(collector: &Collector) {
    let total = |name: &str, attributes: &[(&str, &str)]| collector.total("otel-host", name, attributes);
    let method = ("rpc.method", "trace.WhichTrace/Ok");
    let calls = "rpc.client.call.duration";
    let code = |code| ("rpc.response.status_code", code);
    assert_eq!(total(calls, &[("rpc.system.name", "grpc"), method, code("OK")]), 2.0);
    assert_eq!(total(calls, &[method, code("RESOURCE_EXHAUSTED")]), 3.0);
    assert!(collector.points("otel-host", calls).iter().all(|point| point.sum.is_some_and(|sum| sum > 0.0)));
    assert_eq!(total("rpc.server.call.duration", &[("rpc.method", "trace.WhichTrace/Say")]), 1.0);
    let failed = [("rpcplugin.operation", "client_call"), ("error.type", "RESOURCE_EXHAUSTED"), method];
    assert_eq!(total("rpcplugin.errors", &failed), 3.0);

    let name = ("rpcplugin.plugin.name", "otel-plugin");
    assert_eq!(total("rpcplugin.launch.duration", &[name]), 1.0);
    for direction in ["transmit", "receive"] {
        for kind in ["main", "brokered"] {
            let which = [name, ("rpcplugin.connection.kind", kind), ("network.io.direction", direction)];
            assert!(total("rpcplugin.connection.io", &which) > 0.0, "{which:?}");
            assert!(total("rpcplugin.connection.messages", &which[..1]) > 0.0, "{which:?}");
        }
    }
    let running = collector.points("otel-host", "rpcplugin.plugin.running");
    assert_eq!(running.iter().map(|point| point.value).collect::<Vec<_>>(), [0.0], "the plugin has ended");
    assert_eq!(total("rpcplugin.plugin.restarts", &[]), 0.0);
}

fn metrics_of_the_plugin(collector: &Collector) {
    let total = |name: &str, attributes: &[(&str, &str)]| collector.total("otel-plugin", name, attributes);
    let calls = "rpc.server.call.duration";
    let ok = [("rpc.method", "trace.WhichTrace/Ok"), ("rpc.response.status_code", "OK")];
    assert_eq!(total(calls, &ok), 2.0);
    assert_eq!(total(calls, &[("rpc.method", "trace.WhichTrace/Brokered")]), 1.0);
    assert_eq!(total("rpc.client.call.duration", &[("rpc.method", "trace.WhichTrace/Say")]), 1.0);
    assert_eq!(total("rpcplugin.rate_limit.refusals", &[]), 3.0);
    for kind in ["main", "brokered"] {
        assert!(total("rpcplugin.connection.io", &[("rpcplugin.connection.kind", kind)]) > 0.0);
    }
}

/// A caller can invent any number of method names, and each label of a metric costs memory.
#[tokio::test]
async fn invented_methods_become_no_labels() {
    let _launches = LAUNCHES.lock().await;
    let collector = Collector::start().await;
    let command = command(&collector.endpoint)
        .env("PLUGIN_RATE_LIMIT_ENABLED", "true")
        .env("PLUGIN_RATE_LIMIT_REQUESTS_PER_SECOND", "0.001")
        .env("PLUGIN_RATE_LIMIT_BURST_CAPACITY", "2");
    let plugin = host().launch(command).await.unwrap();
    let channel = plugin.channel();
    for _ in 0..2 {
        assert_eq!(ask(channel.clone(), "Ok").await.unwrap_err().code(), Code::Ok);
    }
    for number in 0..1000 {
        let status = ask(channel.clone(), &format!("Invented{number}")).await.unwrap_err();
        assert_eq!(status.code(), Code::ResourceExhausted);
    }
    assert_eq!(ask(channel.clone(), "Ok").await.unwrap_err().code(), Code::ResourceExhausted);
    plugin.shut_down().await;

    let calls = "rpc.server.call.duration";
    let labels: BTreeSet<_> = [calls, "rpcplugin.errors"]
        .into_iter()
        .flat_map(|name| collector.points("otel-plugin", name))
        .filter_map(|mut point| point.attributes.remove("rpc.method"))
        .collect();
    assert_eq!(labels, BTreeSet::from(["_OTHER".to_owned(), "trace.WhichTrace/Ok".to_owned()]));
    let total = |method| {
        let refused = ("rpc.response.status_code", "RESOURCE_EXHAUSTED");
        collector.total("otel-plugin", calls, &[("rpc.method", method), refused])
    };
    assert_eq!(total("_OTHER"), 1000.0, "rejected calls are counted");
    assert_eq!(total("trace.WhichTrace/Ok"), 1.0, "a method that has answered keeps its name");
}

#[tokio::test]
async fn launches_that_fail_and_restarts_are_counted() {
    let _launches = LAUNCHES.lock().await;
    let collector = Collector::start().await;
    let telemetry = telemetry("otel-supervisor", &collector.endpoint).build().unwrap();
    let host = telemetry.host(host().configure(|config| config.supervision.initial = Duration::ZERO));
    let error: LaunchError = host.launch(Command::new("/bin/false")).await.unwrap_err();

    let supervised = host.supervise(command(&collector.endpoint)).await.unwrap();
    let first = supervised.generation().unwrap();
    send(first.plugin().pid.unwrap(), Signal::KILL);
    let second = supervised.later_generation(first.number()).await.unwrap();
    assert_eq!(second.number(), 2);
    supervised.shut_down().await;
    assert!(telemetry.shut_down().await, "all was sent");

    let total =
        |name: &str, attributes: &[(&str, &str)]| collector.total("otel-supervisor", name, attributes);
    let name = ("rpcplugin.plugin.name", "otel-plugin");
    assert_eq!(total("rpcplugin.plugin.restarts", &[name]), 1.0);
    assert_eq!(total("rpcplugin.launch.duration", &[name]), 2.0, "the first, and the restart");
    let code = miette::Diagnostic::code(&error).unwrap().to_string();
    let failed = [("rpcplugin.plugin.name", "false"), ("error.type", code.as_str())];
    assert_eq!(total("rpcplugin.launch.duration", &failed), 1.0, "{}", collector.everything());
    assert_eq!(total("rpcplugin.errors", &failed), 1.0);
}

#[tokio::test]
async fn a_missing_or_silent_collector_delays_nothing() {
    let _launches = LAUNCHES.lock().await;
    // The first endpoint has no listener. The second accepts connections and sends nothing.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let away = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for address in [away, silent.local_addr().unwrap()] {
        let endpoint = format!("http://{address}");
        let telemetry = Telemetry::builder().endpoint(&endpoint).flush_timeout(Duration::from_millis(300));
        let telemetry = telemetry.build().unwrap();
        let host = telemetry.host(host());
        // The plugin would send for 10 s, and its host waits for 2 s.
        let host = host.configure(|config| config.grace = Duration::from_secs(2));
        let plugin = host.launch(command(&endpoint)).await.unwrap();
        let channel = plugin.channel_with(&telemetry.calls());
        assert_eq!(ask(channel, "Ok").await.unwrap_err().code(), Code::Ok);
        let begun = std::time::Instant::now();
        plugin.shut_down().await;
        assert!(!telemetry.shut_down().await, "nothing was sent");
        assert!(begun.elapsed() < Duration::from_secs(30));
    }
}

#[tokio::test]
async fn telemetry_can_be_switched_off() {
    let _launches = LAUNCHES.lock().await;
    let endpoint = Collector::start().await.endpoint;
    let plugin = host().launch(command(&endpoint).env("OTEL_SDK_DISABLED", "true")).await.unwrap();
    assert_eq!(ask(plugin.channel(), "Ok").await.unwrap_err().code(), Code::Ok);
    plugin.shut_down().await;
}

/// A failed setup is reported with its cause.
#[tokio::test]
async fn a_failed_setup_reports_its_cause() {
    let plugin = env!("CARGO_BIN_EXE_otel-plugin");
    for (shell, code) in [
        // The runtime of the exporter needs more files than the limit allows.
        (r#"ulimit -n 4; exec "$0""#, "rpcplugin::base::telemetry_thread"),
        (
            r#"OTEL_EXPORTER_OTLP_ENDPOINT="not an address" exec "$0""#,
            "rpcplugin::config::telemetry_exporter",
        ),
        (r#"OTEL_TRACES_EXPORTER=zipkin exec "$0""#, "rpcplugin::config::telemetry_setting"),
    ] {
        let output = tokio::process::Command::new("sh").args(["-c", shell, plugin]).output().await.unwrap();
        let printed = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && printed.contains(code), "{shell}: {printed}");
    }
}

#[tokio::test]
async fn the_example_exports_its_spans() {
    let collector = Collector::start().await;
    let mut example = tokio::process::Command::new(example("otel"));
    example.stdin(Stdio::null()).env("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.endpoint);
    let output = example.output().await.unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    let all = format!("{printed}{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{all}");
    let lines: Vec<_> = printed.lines().collect();
    assert_eq!(lines[0], "hello, collector", "{all}");
    assert!(lines[1].starts_with("farewell: "), "{all}");
    assert_eq!(lines[2], "the plugin ended cleanly", "{all}");
    let (ours, theirs) = (collector.spans("otel-example-host"), collector.spans("otel-example-plugin"));
    let put = one(&ours, "rpcplugin.examples.kv.v1.Kv/Put", SpanKind::Client);
    let run = one(&ours, "run", SpanKind::Internal);
    is_child(put, run);
    let life = one(&ours, "plugin", SpanKind::Internal);
    assert!(life.links.iter().any(|link| link.span_id == run.span_id), "the link to the launch: {life:#?}");
    is_child(one(&theirs, "rpcplugin.examples.kv.v1.Kv/Put", SpanKind::Server), put);
}
