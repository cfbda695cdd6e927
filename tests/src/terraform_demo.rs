//! `terraform-provider-demo`: a provider for Terraform, built on the plugin library.
//!
//! The real Terraform is an independent host, so its results are worth more than tests of this project. The provider knows
//! nothing of processes, sockets and handshakes. Only this file does.
//!
//! From the bottom up: `value` and `schema` are the type system of Terraform, `diagnostics` the messages for people,
//! `framework` the traits of a provider, and `wire` maps both versions of the protocol to them. The demo provider is in
//! `provider`, `resource`, `data_sources`, `ephemeral` and `functions`, with the `store` for its things.

mod value;

mod schema;

mod diagnostics;

mod framework;

mod wire;

mod provider;

mod resource;

mod data_sources;

mod ephemeral;

mod functions;

mod store;

mod proto;

use std::error::Error;
use std::ffi::OsString;
use std::io::{self, Write as _};
use std::pin::Pin;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use rpcplugin::plugin::PanicOutput;
use rpcplugin::{AppVersion, MagicCookie, Serve};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;

use self::proto::{tfplugin5, tfplugin6};
use self::provider::Demo;
use self::store::Store;
use self::wire::Wire;
use crate::os::Termination;

/// The address of the provider in a registry.
const ADDRESS: &str = "example.com/accept/demo";

/// The largest schema that Terraform accepts, and a margin for a value of that size.
const MAX_MESSAGE: usize = (64 << 20) + (1 << 20);

/// Runs the program.
///
/// Terraform starts the program, which reads two variables: `DEMO_STORE` is the directory in which things are stored, and
/// `DEMO_PROTOCOLS` the versions of the protocol to serve, `5,6` by default.
pub fn main() -> ExitCode {
    match run() {
        Ok(code) => code,
        Err(error) => {
            // `eprintln` panics when the host is gone.
            let _ = writeln!(io::stderr(), "the provider cannot start: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> io::Result<ExitCode> {
    log()?;
    let crash = Arc::new(Notify::new());
    let demo = Demo::new(Store::new(variable("DEMO_STORE").map(Into::into)), Arc::clone(&crash));
    let serve = plugin(&Wire::new(demo));

    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let code = runtime.block_on(async {
        let serving: Pin<Box<dyn Future<Output = ExitCode>>> =
            if debugged() { Box::pin(serve_attachable(serve)) } else { Box::pin(serve_host(serve)) };
        tokio::select! {
            code = serving => code,
            // Dropping the plugin closes its connections and removes its socket.
            () = crash.notified() => ExitCode::from(CRASHED),
        }
    });
    // Cancelled calls still hold the directory of the sockets. The last of them removes it.
    runtime.shutdown_timeout(UNWIND);
    Ok(code)
}

/// The plugin: the same provider under both versions of the protocol.
fn plugin(wire: &Wire<Demo>) -> Serve {
    let mut serve = Serve::new(MagicCookie::terraform())
        .descriptors(proto::DESCRIPTORS_5)
        .descriptors(proto::DESCRIPTORS_6)
        .panic_output(PanicOutput::Text);
    for version in versions(variable("DEMO_PROTOCOLS")) {
        serve = match version {
            Version::Five => serve.version(
                AppVersion(5),
                tfplugin5::provider_server::ProviderServer::new(wire.clone())
                    .max_decoding_message_size(MAX_MESSAGE),
            ),
            Version::Six => serve.version(
                AppVersion(6),
                tfplugin6::provider_server::ProviderServer::new(wire.clone())
                    .max_decoding_message_size(MAX_MESSAGE),
            ),
        };
    }
    serve
}

/// Serves the Terraform that launched this process.
async fn serve_host(serve: Serve) -> ExitCode {
    match serve.run().await {
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "{error:?}");
            ExitCode::FAILURE
        }
    }
}

/// Serves every Terraform that attaches, as providers do with `-debug`. Prints the variable with the reattach configuration,
/// and ends with SIGINT or SIGTERM.
async fn serve_attachable(serve: Serve) -> ExitCode {
    let served = async {
        let end = CancellationToken::new();
        let plugin = serve.shutdown_token(end.clone()).attachable().await?;
        let mut termination = Termination::new()?;
        writeln!(io::stdout(), "{}", plugin.assignment("TF_REATTACH_PROVIDERS", ADDRESS))?;
        tokio::spawn(async move {
            termination.requested().await;
            end.cancel();
        });
        plugin.tee_output().serve().await?;
        Ok::<_, Box<dyn Error>>(())
    };
    match served.await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "{error}");
            ExitCode::FAILURE
        }
    }
}

/// Whether the provider was started with `-debug`.
fn debugged() -> bool {
    std::env::args_os().skip(1).any(|argument| argument == "-debug" || argument == "--debug")
}

/// A version of the plugin protocol of Terraform.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    Five,
    Six,
}

/// The versions in a list such as `5,6`. Both if the list has no version.
fn versions(list: Option<OsString>) -> Vec<Version> {
    let list = list.and_then(|list| list.into_string().ok()).unwrap_or_default();
    let named: Vec<_> = list
        .split(',')
        .filter_map(|version| match version.trim() {
            "5" => Some(Version::Five),
            "6" => Some(Version::Six),
            _ => None,
        })
        .collect();
    if named.is_empty() { vec![Version::Five, Version::Six] } else { named }
}

/// Logs to Terraform, which filters by `TF_LOG`: all records of the provider, the steps of the library, and warnings of other
/// crates.
fn log() -> io::Result<()> {
    let chosen = Targets::new()
        .with_default(LevelFilter::WARN)
        .with_target("rpcplugin", LevelFilter::DEBUG)
        .with_target(env!("CARGO_CRATE_NAME"), LevelFilter::TRACE);
    let layer = rpcplugin::plugin::hclog_layer()?.with_filter(chosen);
    tracing::subscriber::set_global_default(tracing_subscriber::registry().with(layer))
        .map_err(io::Error::other)
}

#[expect(clippy::disallowed_methods, reason = "a provider takes settings from its environment")]
fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name)
}

/// The longest that a call that blocks its thread may delay the exit.
const UNWIND: Duration = Duration::from_millis(500);

/// The exit status of a Go program after a panic.
const CRASHED: u8 = 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn protocols_are_those_named() {
        for (list, wanted) in [
            (None, vec![Version::Five, Version::Six]),
            (Some("5"), vec![Version::Five]),
            (Some(" 6 "), vec![Version::Six]),
            (Some("6,5"), vec![Version::Six, Version::Five]),
            (Some("seven"), vec![Version::Five, Version::Six]),
        ] {
            assert_eq!(versions(list.map(Into::into)), wanted, "{list:?}");
        }
    }
}
