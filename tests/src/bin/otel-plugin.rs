//! A plugin that exports its telemetry: it answers, calls its host back, serves through the broker, and limits its
//! calls if it is told to.

#![expect(clippy::print_stderr, reason = "a plugin says why it does not start")]

use std::{process::ExitCode, time::Duration};

use rpcplugin::{
    MagicCookie, PluginContext, Serve, Services,
    config::Loader,
    error::PlainReport,
    telemetry::{InstrumentCalls, Telemetry},
};
use rpcplugin_tests::trace_kit::{WhichTrace, ask, here};
use tonic::Status;
use tower::Layer as _;

fn services(context: &PluginContext, calls: InstrumentCalls) -> Services {
    let context = context.clone();
    let answer = move |method: String| {
        let (context, calls) = (context.clone(), calls.clone());
        async move {
            tracing::info!("asked");
            match method.as_str() {
                "Ok" => Status::ok(""),
                "Host" => {
                    let said = ask(calls.layer(context.host_channel()), "Say").await;
                    said.map_or_else(|status| status, Status::aborted)
                }
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
