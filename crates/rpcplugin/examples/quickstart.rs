//! A host and a plugin in one program.
//!
//! ```text
//! cargo run --example quickstart
//! ```
//!
//! You start the program as a host. The host launches the same program as a plugin, and calls it. The program recognises
//! that it is the plugin by the magic cookie in its environment. The examples `kv-host` and `kv-plugin` are the same in two
//! programs.
#![expect(
    clippy::disallowed_methods,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "the program prints for people"
)]

use std::{env, process::ExitCode, time::Instant};

use miette::{IntoDiagnostic as _, Result};
use rpcplugin::{AppVersion, Command, Host, MagicCookie, Plugin, Serve};

#[path = "kv/kv.rs"]
mod kv;

use kv::{
    Store,
    proto::{Entry, GetRequest, ListRequest, PutRequest, kv_client::KvClient, kv_server::KvServer},
};

/// The cookie and the version that host and plugin share. The cookie keeps people from starting the plugin by hand.
const COOKIE: (&str, &str) = ("QUICKSTART_PLUGIN", "9e0c-quickstart");
const VERSION: AppVersion = AppVersion(1);

fn main() -> ExitCode {
    let started_by_host = env::var_os(COOKIE.0).is_some();
    if started_by_host { plugin() } else { host() }
}

/// The plugin: the services that it serves. It exits when its host shuts it down or dies.
fn plugin() -> ExitCode {
    let cookie = MagicCookie::new(COOKIE.0, COOKIE.1).expect("a key and a value");
    Serve::new(cookie).version(VERSION, KvServer::new(Store::new())).descriptors(kv::DESCRIPTORS).main()
}

/// The host: launches the plugin, calls it, shuts it down, and prints each step.
#[tokio::main]
async fn host() -> ExitCode {
    // The log records of a plugin are events whose target is the name of its program.
    let colours = std::io::IsTerminal::is_terminal(&std::io::stdout());
    tracing_subscriber::fmt().with_env_filter("quickstart=info").with_ansi(colours).without_time().init();
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(report) => {
            eprintln!("{report:?}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<()> {
    let cookie = MagicCookie::new(COOKIE.0, COOKIE.1)?;
    let program = env::current_exe().into_diagnostic()?;
    let plugin = Host::new(cookie, VERSION).launch(Command::new(program)).await?;
    introduce(&plugin);

    let mut kv = KvClient::new(plugin.channel());
    let first = Instant::now();
    for (key, value) in [("apple", "red"), ("banana", "yellow"), ("cherry", "dark red")] {
        let entry = Entry { key: key.to_owned(), value: value.into() };
        kv.put(PutRequest { entry: Some(entry) }).await.into_diagnostic()?;
    }
    let apple = kv.get(GetRequest { key: "apple".to_owned() }).await.into_diagnostic()?.into_inner();
    println!("  get apple     {}", String::from_utf8_lossy(&apple.value));

    let missing = kv.get(GetRequest { key: "durian".to_owned() }).await.expect_err("not stored");
    println!("  get durian    {:?}: {}", missing.code(), missing.message());

    let mut list = kv.list(ListRequest { prefix: String::new() }).await.into_diagnostic()?.into_inner();
    while let Some(Entry { key, value }) = list.message().await.into_diagnostic()? {
        println!("  list          {key} = {}", String::from_utf8_lossy(&value));
    }
    println!("  six calls     {:.1?}", first.elapsed());

    let stopping = Instant::now();
    let exit = plugin.shut_down().await;
    println!("  stop          {exit}, {:.1?}", stopping.elapsed());
    Ok(())
}

fn introduce(plugin: &Plugin) {
    let security = if plugin.security().is_mutual() { "mutual TLS, ephemeral certificates" } else { "none" };
    println!("plugin {}", plugin.name());
    println!("  process       {}", plugin.pid().expect("a child process"));
    println!("  version       {}", plugin.version());
    println!("  listens on    {}", plugin.endpoint());
    println!("  security      {security}");
    println!("  ready after   {:.1?}", plugin.launch_time());
}
