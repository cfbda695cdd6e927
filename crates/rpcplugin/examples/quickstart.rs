//! A host and a plugin in one program.
//!
//! ```text
//! cargo run --example quickstart
//! ```
//!
//! Started by you it is a host: it starts itself a second time, as a plugin, and calls it. Started by a host, which it
//! knows by the magic cookie in its environment, it is the plugin. Two programs of your own would each have one half;
//! the examples `kv-host` and `kv-plugin` are just that.
#![expect(
    clippy::disallowed_methods,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a program for people to look at"
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

/// What host and plugin agree upon: a cookie, so that nobody starts the plugin by hand, and a version.
const COOKIE: (&str, &str) = ("QUICKSTART_PLUGIN", "9e0c-quickstart");
const VERSION: AppVersion = AppVersion(1);

fn main() -> ExitCode {
    let started_by_host = env::var_os(COOKIE.0).is_some();
    if started_by_host { plugin() } else { host() }
}

/// The plugin: what it serves, and nothing else. It ends when its host asks it to, or dies.
fn plugin() -> ExitCode {
    let cookie = MagicCookie::new(COOKIE.0, COOKIE.1).expect("a key and a value");
    Serve::new(cookie).version(VERSION, KvServer::new(Store::new())).descriptors(kv::DESCRIPTORS).main()
}

/// The host: starts the plugin, calls it, stops it, and tells the story.
#[tokio::main]
async fn host() -> ExitCode {
    // What a plugin logs arrives as events whose target is the name of the plugin's program.
    let colours = std::io::IsTerminal::is_terminal(&std::io::stdout());
    tracing_subscriber::fmt().with_env_filter("quickstart=info").with_ansi(colours).without_time().init();
    match story().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(report) => {
            eprintln!("{report:?}");
            ExitCode::FAILURE
        }
    }
}

async fn story() -> Result<()> {
    let cookie = MagicCookie::new(COOKIE.0, COOKIE.1)?;
    let myself = env::current_exe().into_diagnostic()?;
    let plugin = Host::new(cookie, VERSION).launch(Command::new(myself)).await?;
    introduce(&plugin);

    let mut kv = KvClient::new(plugin.channel());
    let first = Instant::now();
    for (key, value) in [("apple", "red"), ("banana", "yellow"), ("cherry", "dark red")] {
        let entry = Entry { key: key.to_owned(), value: value.into() };
        kv.put(PutRequest { entry: Some(entry) }).await.into_diagnostic()?;
    }
    let apple = kv.get(GetRequest { key: "apple".to_owned() }).await.into_diagnostic()?.into_inner();
    println!("  get apple     {}", String::from_utf8_lossy(&apple.value));

    let missing = kv.get(GetRequest { key: "durian".to_owned() }).await.expect_err("nobody put it there");
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
    let security = if plugin.security().is_mutual() { "mutual TLS, one-time certificates" } else { "none" };
    println!("plugin {}", plugin.name());
    println!("  process       {}", plugin.pid().expect("a child process"));
    println!("  version       {}", plugin.version());
    println!("  listens on    {}", plugin.endpoint());
    println!("  security      {security}");
    println!("  ready after   {:.1?}", plugin.launch_time());
}
