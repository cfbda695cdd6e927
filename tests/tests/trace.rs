//! A trace continues in the process of a plugin, and in its calls to the host.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::{Arc, Mutex};

use rpcplugin::{
    Command, Host, MagicCookie, Plugin, Services,
    broker::ServiceId,
    host::{LogRecord, Observer, Stdin},
    telemetry::{TraceCalls, TraceContext, in_trace},
};
use rpcplugin_tests::tracing_support::{WhichTrace, ask, ask_trace};
use tower::Layer as _;

/// An observer of logs.
#[derive(Clone, Default)]
struct Logged(Arc<Mutex<Vec<LogRecord>>>);

impl Observer for Logged {
    fn log(&self, record: &LogRecord) {
        self.0.lock().unwrap().push(record.clone());
    }
}

fn host() -> Host {
    Host::new(MagicCookie::new("TRACE_KIT_COOKIE", "trace").unwrap(), 1)
        .callbacks(Services::new().add(WhichTrace::here()))
}

fn command() -> Command {
    Command::new(env!("CARGO_BIN_EXE_trace-plugin")).stdin(Stdin::Null)
}

/// The trace that the plugin sees.
async fn seen(plugin: &Plugin) -> Option<TraceContext> {
    ask_trace(TraceCalls.layer(plugin.channel()), "Say").await.unwrap()
}

fn ours() -> TraceContext {
    TraceContext::parse("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", None).unwrap()
}

#[tokio::test]
async fn a_trace_continues_in_the_plugin() {
    let logged = Logged::default();
    let plugin = host().observe(logged.clone()).launch(command()).await.unwrap();

    let theirs = in_trace(ours(), seen(&plugin)).await.unwrap();
    assert_eq!((theirs.trace_id(), theirs.is_sampled()), (ours().trace_id(), true));
    assert_ne!(theirs.span_id(), ours().span_id(), "the call has an id of its own");
    assert_ne!(seen(&plugin).await.unwrap().trace_id(), ours().trace_id(), "another trace");
    plugin.shut_down().await;

    // The log records of a call have the id of the trace. They do not have the plugin, which the host knows.
    let logged = logged.0.lock().unwrap();
    let asked = logged.iter().find(|record| record.message == "asked").unwrap();
    let field = |wanted: &str| {
        asked.fields.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.trim_matches('"'))
    };
    assert_eq!(field("trace.id"), Some("4bf92f3577b34da6a3ce929d0e0e4736"), "{asked:?}");
    assert_eq!(field("plugin.pid"), None, "{asked:?}");
}

#[tokio::test]
async fn a_trace_continues_in_callbacks_and_in_brokered_services() {
    let plugin = host().launch(command()).await.unwrap();
    let traced = in_trace(ours(), async {
        let channel = TraceCalls.layer(plugin.channel());
        let by_the_host = ask_trace(channel.clone(), "Host").await.unwrap().unwrap();
        let id = ServiceId(ask(channel, "Broker").await.unwrap().parse().unwrap());
        let brokered = TraceCalls.layer(plugin.broker().dial(id).await.unwrap());
        (by_the_host, ask_trace(brokered, "Say").await.unwrap().unwrap())
    });
    let (by_the_host, brokered) = traced.await;
    assert_eq!((by_the_host.trace_id(), by_the_host.is_sampled()), (ours().trace_id(), true));
    assert_eq!((brokered.trace_id(), brokered.is_sampled()), (ours().trace_id(), true));
    plugin.shut_down().await;
}
