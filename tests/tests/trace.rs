//! A trace goes on in a plugin's process.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::{Arc, Mutex};

use http::Request;
use rpcplugin::{
    Command, Host, LogRecord, MagicCookie, Observer, Plugin, Stdin, TraceCalls, TraceContext, in_trace,
};
use tonic::{Status, body::Body};
use tower::{Layer as _, Service as _, ServiceExt as _};

/// What the plugin logs while it is asked.
#[derive(Clone, Default)]
struct Logged(Arc<Mutex<Vec<LogRecord>>>);

impl Observer for Logged {
    fn log(&self, record: &LogRecord) {
        self.0.lock().unwrap().push(record.clone());
    }
}

/// The trace that the plugin sees, as it says.
async fn seen(plugin: &Plugin) -> Option<TraceContext> {
    let mut channel = TraceCalls.layer(plugin.channel());
    let request = Request::post("http://localhost/trace.WhichTrace/Say")
        .header("content-type", "application/grpc")
        .body(Body::empty())
        .unwrap();
    let answer = channel.ready().await.unwrap().call(request).await.unwrap();
    let said = Status::from_header_map(answer.headers()).unwrap();
    TraceContext::parse(said.message(), None)
}

#[tokio::test]
async fn a_trace_goes_on_in_the_plugin() {
    let logged = Logged::default();
    let host = Host::new(MagicCookie::new("TRACE_KIT_COOKIE", "trace").unwrap(), 1).observe(logged.clone());
    let command = Command::new(env!("CARGO_BIN_EXE_trace-plugin")).stdin(Stdin::Null);
    let plugin = host.launch(command).await.unwrap();

    let ours = TraceContext::parse("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", None).unwrap();
    let theirs = in_trace(ours.clone(), seen(&plugin)).await.unwrap();
    assert_eq!((theirs.trace_id(), theirs.is_sampled()), (ours.trace_id(), true));
    assert_ne!(theirs.span_id(), ours.span_id(), "the call has an id of its own");
    assert_ne!(seen(&plugin).await.unwrap().trace_id(), ours.trace_id(), "another trace");
    plugin.shut_down().await;

    // What the plugin logs while it serves a call names the trace.
    let logged = logged.0.lock().unwrap();
    let asked = logged.iter().find(|record| record.message == "asked").unwrap();
    let id =
        asked.fields.iter().find(|(name, _)| name == "trace.id").map(|(_, value)| value.trim_matches('"'));
    assert_eq!(id, Some("4bf92f3577b34da6a3ce929d0e0e4736"), "{asked:?}");
}
