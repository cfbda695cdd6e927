//! A host: launches a key/value plugin, stores a value and reads it.
//!
//! ```text
//! cargo build --example kv-plugin && cargo run --example kv-host [PLUGIN]
//! ```
//!
//! The plugin is any program that serves `rpcplugin.examples.kv.v1.Kv` to hosts that set `KV_PLUGIN=hello`.
#![expect(clippy::print_stdout, reason = "the program prints for people")]

use std::{env, path::PathBuf};

use miette::{IntoDiagnostic as _, Result};
use rpcplugin::{Command, Host, MagicCookie};

#[path = "kv/kv.rs"]
mod kv;

use kv::proto::{Entry, GetRequest, PutRequest, kv_client::KvClient};

#[tokio::main]
async fn main() -> Result<()> {
    let plugin = env::args_os().nth(1).map_or_else(beside_this_program, |path| Ok(path.into()))?;

    // The plugin's log records are events of this host, under the plugin's name.
    tracing_subscriber::fmt().without_time().with_writer(std::io::stderr).init();

    let host = Host::new(MagicCookie::new("KV_PLUGIN", "hello")?, 1);
    let plugin = host.launch(Command::new(plugin)).await?;

    let mut kv = KvClient::new(plugin.channel());
    let entry = Entry { key: "greeting".to_owned(), value: "hello, plugin".into() };
    kv.put(PutRequest { entry: Some(entry) }).await.into_diagnostic()?;
    let answer = kv.get(GetRequest { key: "greeting".to_owned() }).await.into_diagnostic()?;
    println!("{}", String::from_utf8_lossy(&answer.get_ref().value));

    println!("the plugin {}", plugin.shut_down().await);
    Ok(())
}

fn beside_this_program() -> Result<PathBuf> {
    Ok(env::current_exe().into_diagnostic()?.with_file_name("kv-plugin"))
}
