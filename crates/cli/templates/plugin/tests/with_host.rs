//! The plugin under its host: two processes.

use std::process::Command;

const PLUGIN: &str = env!("CARGO_BIN_EXE___name__-plugin");

#[tokio::test]
async fn the_host_is_greeted() -> miette::Result<()> {
    let greeting = __snake___host::greet(PLUGIN, "Ada").await?;
    assert_eq!(greeting, "Hello, Ada!");
    Ok(())
}

#[tokio::test]
async fn an_error_of_the_plugin_reaches_the_host() {
    let error = __snake___host::greet(PLUGIN, "").await.unwrap_err();
    assert!(error.to_string().ends_with("there is nobody to greet"));
}

#[test]
fn nobody_starts_the_plugin_by_hand() {
    let output = Command::new(PLUGIN).output().unwrap();
    assert!(!output.status.success());
    assert!(output.stdout.is_empty());
}
