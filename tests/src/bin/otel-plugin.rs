//! A plugin that exports telemetry: it answers calls, calls its host, serves through the broker, and limits calls if its
//! settings say so.
#![expect(clippy::print_stderr, reason = "the reason why the plugin does not start")]

use std::{process::ExitCode, time::Duration};

use rpcplugin::{MagicCookie, Serve, config::Loader, error::PlainReport, telemetry::Telemetry};
use rpcplugin_tests::tracing_support::services;

fn main() -> ExitCode {
    let Ok(cookie) = MagicCookie::new("OTEL_KIT_COOKIE", "otel") else { return ExitCode::FAILURE };
    let telemetry = Telemetry::builder().service_name("otel-plugin").flush_timeout(Duration::from_secs(10));
    let telemetry = match telemetry.build() {
        Ok(telemetry) => telemetry,
        Err(error) => {
            eprintln!("{}", PlainReport(&error));
            return ExitCode::FAILURE;
        }
    };
    let calls = telemetry.calls();
    let serve = Serve::new(cookie)
        .load_config(&Loader::new().process_env())
        .configure(|config| config.log_level = rpcplugin::config::LogLevel::Debug)
        .version_with(1, |context| services(context, calls));
    telemetry.serve(serve).main()
}
