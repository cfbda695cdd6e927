//! A plugin: a key/value store in memory.
//!
//! ```text
//! cargo build --example kv-plugin && cargo run --example kv-host
//! ```
//!
//! Any go-plugin host that sets `KV_PLUGIN=hello` and speaks version 1 can use it.

use std::process::ExitCode;

use rpcplugin::{MagicCookie, Serve};

#[path = "kv/kv.rs"]
mod kv;

fn main() -> ExitCode {
    let cookie = MagicCookie::new("KV_PLUGIN", "hello").expect("a key and a value");
    let store = kv::proto::kv_server::KvServer::new(kv::Store::new());
    Serve::new(cookie).version(1, store).descriptors(kv::DESCRIPTORS).main()
}
