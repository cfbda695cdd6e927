//! A plugin that outlives its host: one host hands it over, and another attaches to the same process.
//!
//! ```text
//! cargo run --example reattach
//! ```
//!
//! A long-running host can be upgraded in this way without restarting its plugins. The second host needs one line of JSON.
//! The line contains the private key of the first host: keep it where only the second host can read it.
#![expect(clippy::disallowed_methods, clippy::print_stdout, reason = "the program prints for people")]

use std::{env, process::ExitCode};

use miette::{IntoDiagnostic as _, Result};
use rpcplugin::{Command, Host, MagicCookie, Serve, host::Handover};

#[path = "kv/kv.rs"]
mod kv;

use kv::{
    Store,
    proto::{Entry, GetRequest, PutRequest, kv_client::KvClient, kv_server::KvServer},
};

const COOKIE: (&str, &str) = ("REATTACH_PLUGIN", "19cc-reattach");

fn main() -> Result<ExitCode> {
    if env::var_os(COOKIE.0).is_some() { Ok(plugin()) } else { host() }
}

/// The plugin: a store in memory. A new process would have an empty store.
fn plugin() -> ExitCode {
    Serve::new(MagicCookie::new(COOKIE.0, COOKIE.1).expect("a key and a value"))
        .configure(|config| config.exit_with_host = false)
        .version(1, KvServer::new(Store::new()))
        .main()
}

#[tokio::main]
async fn host() -> Result<ExitCode> {
    let line = old_host().await?;
    new_host(&line).await?;
    Ok(ExitCode::SUCCESS)
}

/// Launches the plugin, stores a value in it, and hands it over.
async fn old_host() -> Result<String> {
    let host =
        Host::new(MagicCookie::new(COOKIE.0, COOKIE.1)?, 1).configure(|config| config.die_with_host = false);
    let plugin = host.launch(Command::new(env::current_exe().into_diagnostic()?)).await?;
    let mut kv = KvClient::new(plugin.channel());
    let entry = Entry { key: "written by".to_owned(), value: "the old host".into() };
    kv.put(PutRequest { entry: Some(entry) }).await.into_diagnostic()?;
    println!("the old host hands over process {}", plugin.pid().expect("a child process"));
    Ok(plugin.hand_over().await?.to_json())
}

/// Attaches to the same process, and shuts it down.
async fn new_host(line: &str) -> Result<()> {
    let host = Host::new(MagicCookie::new(COOKIE.0, COOKIE.1)?, 1);
    let plugin = host.attach(Handover::parse(line)?).await?;
    println!("the new host attaches to process {}", plugin.pid().expect("a child process"));
    let mut kv = KvClient::new(plugin.channel());
    let answer = kv.get(GetRequest { key: "written by".to_owned() }).await.into_diagnostic()?;
    println!("written by {}", String::from_utf8_lossy(&answer.get_ref().value));
    println!("the plugin {}", plugin.shut_down().await);
    Ok(())
}
