//! A plugin that limits the rate of calls.
//!
//! ```text
//! cargo run --example rate-limit
//! ```
//!
//! A call above the limit fails with RESOURCE_EXHAUSTED, and the error says when to try again. Health, shutdown and the
//! other services of the protocol have no limit, so that a busy plugin does not look like a dead one. The operator of the
//! plugin can set the limit in the environment, with `PLUGIN_RATE_LIMIT_REQUESTS_PER_SECOND` and similar variables.
#![expect(clippy::disallowed_methods, clippy::print_stdout, reason = "the program prints for people")]

use std::{env, process::ExitCode};

use miette::{IntoDiagnostic as _, Result};
use rpcplugin::{Command, Host, MagicCookie, Serve, config::RateLimitConfig};

#[path = "greeter/greeter.rs"]
mod greeter;

use greeter::{English, GreeterClient, GreeterServer, named};

const COOKIE: (&str, &str) = ("RATE_LIMIT_PLUGIN", "0e4d-rate-limit");

fn main() -> Result<ExitCode> {
    if env::var_os(COOKIE.0).is_some() { Ok(plugin()) } else { host() }
}

/// The plugin: allows three calls at once, and one more each minute.
fn plugin() -> ExitCode {
    let mut limit = RateLimitConfig::default();
    limit.burst_capacity = 3;
    limit.requests_per_second = 1.0 / 60.0;
    Serve::new(MagicCookie::new(COOKIE.0, COOKIE.1).expect("a key and a value"))
        .configure(|config| config.rate_limit = Some(limit))
        .version(1, GreeterServer::new(English))
        .main()
}

/// The host: exceeds the limit.
#[tokio::main]
async fn host() -> Result<ExitCode> {
    let host = Host::new(MagicCookie::new(COOKIE.0, COOKIE.1)?, 1);
    let plugin = host.launch(Command::new(env::current_exe().into_diagnostic()?)).await?;
    let mut greeter = GreeterClient::new(plugin.channel());
    for name in ["Ada", "Grace", "Edsger", "Barbara"] {
        match greeter.greet(named(name)).await {
            Ok(answer) => println!("{}", answer.into_inner().greeting),
            Err(status) => {
                // gRPC's own retries use this header. The details of the status have a google.rpc.RetryInfo too.
                let pause = status.metadata().get("grpc-retry-pushback-ms").is_some();
                println!("{name} waits: {:?}, with a pause: {pause}", status.code());
            }
        }
    }
    println!("the plugin is still {}", plugin.ping().await?);
    println!("the plugin {}", plugin.shut_down().await);
    Ok(ExitCode::SUCCESS)
}
