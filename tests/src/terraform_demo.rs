//! `terraform-provider-demo`: a provider for Terraform, built on the plugin library.
//!
//! The real Terraform is a host that nobody here wrote, so what it thinks of this plugin is worth more than our own
//! tests. The provider part knows nothing of processes, sockets and handshakes; the plugin part is this file.
//!
//! From the bottom up: `value` and `schema` are Terraform's type system, `diagnostics` what is told to a person,
//! `framework` the traits of which a provider is made, `wire` both versions of the protocol mapped onto them.
//! Above are the demo provider and its parts: `provider`, `resource`, `data_sources`, `ephemeral`,
//! `functions`, and the `store` in which its things exist.

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

use rpcplugin::{AppVersion, MagicCookie, Serve};
use tokio::signal::unix::{SignalKind, signal};
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

/// The provider's address: where it would be published.
const ADDRESS: &str = "example.com/accept/demo";

/// By this Terraform and its providers know each other.
const COOKIE: (&str, &str) =
    ("TF_PLUGIN_MAGIC_COOKIE", "d602bf8f470bc67ca7faa0386276bbdd4330efaf76d1a219cb4d6991ca9872b2");

/// What Terraform accepts of a schema, and a little for what is around a value of that size.
const MAX_MESSAGE: usize = (64 << 20) + (1 << 20);

/// The whole program.
///
/// It is started by Terraform, and reads two variables of its own: `DEMO_STORE` is the directory in which things are
/// stored, and `DEMO_PROTOCOLS` the versions of the protocol that are served, `5,6` unless it says otherwise.
pub fn main() -> ExitCode {
    match run() {
        Ok(code) => code,
        Err(error) => {
            // Not `eprintln`, which panics when the host is gone.
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
            // Dropped in the middle, the plugin answers nobody any more but takes its socket along.
            () = crash.notified() => ExitCode::from(CRASHED),
        }
    });
    // Calls that were cut off still hold the directory of the sockets, which goes with the last of them.
    runtime.shutdown_timeout(UNWIND);
    Ok(code)
}

/// The plugin: the same provider under both versions of the protocol.
fn plugin(wire: &Wire<Demo>) -> Serve {
    let cookie = MagicCookie::new(COOKIE.0, COOKIE.1).expect("a key and a value");
    let mut serve = Serve::new(cookie).descriptors(proto::DESCRIPTORS_5).descriptors(proto::DESCRIPTORS_6);
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

/// Serves whichever Terraform attaches, as providers do that are started with `-debug`: prints the variable by which it
/// finds this process, and ends with SIGINT or SIGTERM.
async fn serve_attachable(serve: Serve) -> ExitCode {
    let served = async {
        let end = CancellationToken::new();
        let plugin = serve.shutdown_token(end.clone()).attachable().await?;
        let mut interrupted = signal(SignalKind::interrupt())?;
        let mut terminated = signal(SignalKind::terminate())?;
        writeln!(io::stdout(), "{}", plugin.assignment("TF_REATTACH_PROVIDERS", ADDRESS))?;
        tokio::spawn(async move {
            tokio::select! {
                _ = interrupted.recv() => {}
                _ = terminated.recv() => {}
            }
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

/// Whether somebody started the provider to attach to it.
fn debugged() -> bool {
    std::env::args_os().skip(1).any(|argument| argument == "-debug" || argument == "--debug")
}

/// A version of Terraform's plugin protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    Five,
    Six,
}

/// The versions that a list such as `5,6` names; both if it names none.
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

/// Logs to Terraform, which filters by `TF_LOG`: everything of the provider's own, the steps of the library, and of
/// others what went wrong.
fn log() -> io::Result<()> {
    let chosen = Targets::new()
        .with_default(LevelFilter::WARN)
        .with_target("rpcplugin", LevelFilter::DEBUG)
        .with_target(env!("CARGO_CRATE_NAME"), LevelFilter::TRACE);
    let layer = rpcplugin::plugin::hclog_layer()?.with_filter(chosen);
    tracing::subscriber::set_global_default(tracing_subscriber::registry().with(layer))
        .map_err(io::Error::other)
}

#[expect(clippy::disallowed_methods, reason = "a provider is set up through its environment")]
fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name)
}

/// How long a call that blocks its thread may keep the process from ending.
const UNWIND: Duration = Duration::from_millis(500);

/// The status of a Go program that panicked.
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
