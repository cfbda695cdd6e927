//! The plugin and its host, in two processes.

use std::process::Command;

const PLUGIN: &str = env!("CARGO_BIN_EXE___name__-plugin");

#[tokio::test]
async fn the_plugin_greets() -> miette::Result<()> {
    let greeting = __snake___host::greet(PLUGIN, "Ada").await?;
    assert_eq!(greeting, "Hello, Ada!");
    Ok(())
}

#[tokio::test]
async fn the_host_receives_an_error_of_the_plugin() {
    let error = __snake___host::greet(PLUGIN, "").await.unwrap_err();
    assert!(error.to_string().ends_with("the name is empty"));
}

#[test]
fn the_plugin_does_not_serve_without_its_cookie() {
    let output = Command::new(PLUGIN).output().unwrap();
    assert!(!output.status.success());
    assert!(output.stdout.is_empty());
}
