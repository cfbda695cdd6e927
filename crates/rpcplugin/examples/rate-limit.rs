//! A plugin that lets through only so many calls.
//!
//! ```text
//! cargo run --example rate-limit
//! ```
//!
//! What is too much fails with RESOURCE_EXHAUSTED and says when to come back. Health, shutdown and the other services of
//! the protocol are never limited, so that a busy plugin does not look like a dead one. The operator of the plugin can
//! set the same without touching the program, by `PLUGIN_RATE_LIMIT_REQUESTS_PER_SECOND` and its like.
#![expect(clippy::disallowed_methods, clippy::print_stdout, reason = "a program for people to look at")]

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

/// The plugin: three calls at once, and one more each minute.
fn plugin() -> ExitCode {
    let mut limit = RateLimitConfig::default();
    limit.burst_capacity = 3;
    limit.requests_per_second = 1.0 / 60.0;
    Serve::new(MagicCookie::new(COOKIE.0, COOKIE.1).expect("a key and a value"))
        .configure(|config| config.rate_limit = Some(limit))
        .version(1, GreeterServer::new(English))
        .main()
}

/// The host: calls more often than it may.
#[tokio::main]
async fn host() -> Result<ExitCode> {
    let host = Host::new(MagicCookie::new(COOKIE.0, COOKIE.1)?, 1);
    let plugin = host.launch(Command::new(env::current_exe().into_diagnostic()?)).await?;
    let mut greeter = GreeterClient::new(plugin.channel());
    for name in ["Ada", "Grace", "Edsger", "Barbara"] {
        match greeter.greet(named(name)).await {
            Ok(answer) => println!("{}", answer.into_inner().greeting),
            Err(status) => {
                // The name that gRPC's own retries look for; the details hold a google.rpc.RetryInfo besides.
                let pause = status.metadata().get("grpc-retry-pushback-ms").is_some();
                println!("{name} waits: {:?}, told for how long: {pause}", status.code());
            }
        }
    }
    println!("and yet the plugin is {}", plugin.ping().await?);
    println!("the plugin {}", plugin.shut_down().await);
    Ok(ExitCode::SUCCESS)
}
