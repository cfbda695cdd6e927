//! A plugin that tells whoever calls it in which trace it was called, and in which trace its host is when it calls
//! back. It writes its own spans down, if it is told where.

use std::{path::PathBuf, process::ExitCode};

use rpcplugin::{MagicCookie, PluginContext, Serve, Services, plugin::hclog_layer, telemetry::TraceCalls};
use rpcplugin_tests::trace_kit::{SpanLog, WhichTrace, ask, here};
use tonic::Status;
use tower::Layer as _;
use tracing_subscriber::layer::SubscriberExt as _;

fn services(context: &PluginContext) -> Services {
    let context = context.clone();
    let answer = move |method: String| {
        let context = context.clone();
        async move {
            tracing::info!("asked");
            match method.as_str() {
                // What the host sees that is called while this call is served.
                "Host" => {
                    let said = ask(TraceCalls.layer(context.host_channel()), "Say").await;
                    said.map_or_else(|status| status, Status::aborted)
                }
                // The number of a brokered service that says the same.
                "Broker" => match context.broker.serve(Services::new().add(WhichTrace::here())).await {
                    Ok(served) => {
                        let id = served.id();
                        served.detach();
                        Status::aborted(id.to_string())
                    }
                    Err(error) => Status::internal(error.to_string()),
                },
                _ => here(),
            }
        }
    };
    Services::new().add(WhichTrace::new(answer))
}

#[expect(clippy::disallowed_methods, reason = "a test tells its plugin by a variable where to write")]
fn span_file() -> Option<PathBuf> {
    std::env::var_os("TRACE_KIT_SPANS").map(PathBuf::from)
}

fn main() -> ExitCode {
    let Ok(cookie) = MagicCookie::new("TRACE_KIT_COOKIE", "trace") else { return ExitCode::FAILURE };
    let serve = Serve::new(cookie)
        .configure(|config| config.log_level = rpcplugin::config::LogLevel::Debug)
        .version_with(1, services);
    let Some(file) = span_file() else { return serve.main() };
    let spans = SpanLog::default();
    let Ok(log) = hclog_layer() else { return ExitCode::FAILURE };
    let subscriber = tracing_subscriber::registry().with(log).with(spans.clone());
    if tracing::subscriber::set_global_default(subscriber).is_err() {
        return ExitCode::FAILURE;
    }
    let code = serve.main();
    if spans.save(&file).is_err() { ExitCode::FAILURE } else { code }
}
