//! A plugin that answers with the trace of a call, and with the trace that its host sees when the plugin calls it.
//!
//! The plugin writes its spans to the file that the variable `TRACE_KIT_SPANS` names.

use std::{path::PathBuf, process::ExitCode};

use rpcplugin::{MagicCookie, Serve, plugin::hclog_layer, telemetry::TraceCalls};
use rpcplugin_tests::tracing_support::{SpanLog, services};
use tracing_subscriber::layer::SubscriberExt as _;

#[expect(clippy::disallowed_methods, reason = "a test names the file by a variable")]
fn span_file() -> Option<PathBuf> {
    std::env::var_os("TRACE_KIT_SPANS").map(PathBuf::from)
}

fn main() -> ExitCode {
    let Ok(cookie) = MagicCookie::new("TRACE_KIT_COOKIE", "trace") else { return ExitCode::FAILURE };
    let serve = Serve::new(cookie)
        .configure(|config| config.log_level = rpcplugin::config::LogLevel::Debug)
        .version_with(1, |context| services(context, TraceCalls));
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
