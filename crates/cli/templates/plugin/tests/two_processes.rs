//! The plugin as a host launches it: a process of its own, with handshake, TLS and shutdown.

use std::process;

use rpcplugin::{Command, Exit};

use __snake___host::{greet, host};
use __snake___protocol::greeter_client::GreeterClient;

const PLUGIN: &str = env!("CARGO_BIN_EXE___name__-plugin");

#[tokio::test]
async fn the_plugin_greets_and_exits_cleanly() {
    let plugin = host().unwrap().launch(Command::new(PLUGIN)).await.unwrap();
    let mut greeter = GreeterClient::new(plugin.channel());
    assert_eq!(greet(&mut greeter, "Ada").await.unwrap(), "Hello, Ada!");
    assert_eq!(plugin.shut_down().await, Exit::Clean);
}

#[test]
fn the_plugin_does_not_serve_without_its_cookie() {
    let output = process::Command::new(PLUGIN).output().unwrap();
    assert!(!output.status.success());
    assert!(output.stdout.is_empty());
}
