//! The spans of a plugin's life, on both sides. The only test of its process, because it sets the subscriber.
#![cfg(unix)]

use rpcplugin::{
    Command, Host, MagicCookie, Services, broker::ServiceId, host::Stdin, telemetry::TraceCalls,
};
use rpcplugin_tests::tracing_support::{SeenSpan, SpanLog, WhichTrace, ask};
use tower::Layer as _;
use tracing_subscriber::layer::SubscriberExt as _;

/// The only span with this path.
#[track_caller]
fn one<'a>(spans: &'a [SeenSpan], path: &str) -> &'a SeenSpan {
    let found: Vec<_> = spans.iter().filter(|span| span.path == path).collect();
    let [one] = found[..] else { panic!("{} spans {path} in {spans:#?}", found.len()) };
    one
}

#[tokio::test]
async fn a_plugins_life_has_its_spans_on_both_sides() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("spans");
    let log = SpanLog::default();
    tracing::subscriber::set_global_default(tracing_subscriber::registry().with(log.clone())).unwrap();
    let path = env!("CARGO_BIN_EXE_trace-plugin");
    let host = Host::new(MagicCookie::new("TRACE_KIT_COOKIE", "trace").unwrap(), 1)
        .callbacks(Services::new().add(WhichTrace::here()));
    let command = Command::new(path).stdin(Stdin::Null).env("TRACE_KIT_SPANS", &file);
    let plugin = host.launch(command).await.unwrap();
    // The span of a step ends with the step, and not with the connection or the tasks that the step has started.
    for step in ["plugin:launch", "plugin:launch:greet", "plugin:launch:connect"] {
        assert!(one(&log.spans(), step).closed, "{step}");
    }
    let (pid, endpoint) = (plugin.pid().unwrap().to_string(), plugin.endpoint().to_string());
    let id = ServiceId(ask(plugin.channel(), "Broker").await.unwrap().parse().unwrap());
    let brokered = plugin.broker().dial(id).await.unwrap();
    ask(TraceCalls.layer(brokered), "Say").await.unwrap();
    plugin.shut_down().await;

    let spans = log.spans();
    let ours: Vec<_> = spans.into_iter().filter(|span| span.target.starts_with("rpcplugin")).collect();
    let life = one(&ours, "plugin");
    assert_eq!(life.level, "INFO");
    assert_eq!(life.fields["plugin.path"], path);
    assert_eq!(life.fields["plugin.pid"], pid);
    assert_eq!(life.fields["plugin.version"], "1");
    assert_eq!(life.fields["endpoint"], endpoint);
    for step in ["launch", "launch:greet", "launch:connect", "shutdown"] {
        let span = one(&ours, &format!("plugin:{step}"));
        assert_eq!((span.level.as_str(), span.closed), ("DEBUG", true), "{span:?}");
    }
    assert!(one(&ours, "plugin:launch").fields.contains_key("elapsed"));
    assert_eq!(one(&ours, "plugin:launch:connect").fields["endpoint"], endpoint);
    let brokers: Vec<_> = ours.iter().filter(|span| span.path == "plugin:broker").collect();
    let ids: Vec<_> = brokers.iter().map(|span| span.fields["service.id"].as_str()).collect();
    assert_eq!(ids, ["4000000000", "1"], "the served and the dialled id: {ours:#?}");
    assert!(brokers.iter().all(|span| span.level == "DEBUG"));

    let theirs = SpanLog::load(&file).unwrap();
    let theirs: Vec<_> = theirs.into_iter().filter(|span| span.target.starts_with("rpcplugin")).collect();
    let life = one(&theirs, "plugin");
    assert_eq!((life.level.as_str(), life.closed), ("INFO", true));
    assert_eq!((&life.fields["plugin.path"], &life.fields["plugin.pid"]), (&path.to_owned(), &pid));
    assert_eq!((life.fields["plugin.version"].as_str(), &life.fields["endpoint"]), ("1", &endpoint));
    for step in ["launch", "greet", "connect", "shutdown", "broker", "broker:connect"] {
        let span = one(&theirs, &format!("plugin:{step}"));
        assert_eq!((span.level.as_str(), span.closed), ("DEBUG", true), "{span:?}");
    }
    assert_eq!(one(&theirs, "plugin:broker").fields["service.id"], "1");
    one(&theirs, "plugin:broker:call");

    let secret = |span: &SeenSpan| {
        let shown = format!("{span:?}");
        shown.contains("TRACE_KIT_COOKIE") || shown.contains("BEGIN ") || shown.contains("MII")
    };
    assert!(!ours.iter().chain(&theirs).any(secret), "no cookie, no key, no certificate");
}
