//! Settings of launches that are tried again.

use std::{
    fs,
    time::{Duration, Instant},
};

use rpcplugin_tests::support::{TIMEOUT, scripts::script};

use crate::support::plain;

/// The number of starts of a plugin that always fails, and their duration.
async fn tries(variables: &[(&str, &str)]) -> (usize, Duration) {
    let runs = tempfile::NamedTempFile::new().unwrap();
    let counting = script(&format!("echo >> {}; exit 1", runs.path().display()));
    let begun = Instant::now();
    plain(variables).launch(counting).await.unwrap_err();
    (fs::read_to_string(runs.path()).unwrap().lines().count(), begun.elapsed())
}

const ONE_MS: (&str, &str) = ("PLUGIN_CLIENT_INITIAL_BACKOFF_MS", "1");
const NO_JITTER: (&str, &str) = ("PLUGIN_CLIENT_RETRY_JITTER_MS", "0");

#[tokio::test]
async fn retry_enabled() {
    assert_eq!(tries(&[]).await.0, 1);
    assert_eq!(tries(&[ONE_MS, ("PLUGIN_CLIENT_RETRY_ENABLED", "true")]).await.0, 4);
    assert_eq!(tries(&[ONE_MS, ("PLUGIN_CLIENT_RETRY_ENABLED", "false")]).await.0, 1);
}

#[tokio::test]
async fn retry_max_retries() {
    assert_eq!(tries(&[ONE_MS, ("PLUGIN_CLIENT_MAX_RETRIES", "2")]).await.0, 3);
}

#[tokio::test]
async fn retry_initial() {
    let once = ("PLUGIN_CLIENT_MAX_RETRIES", "1");
    let (_, took) = tries(&[once, NO_JITTER, ("PLUGIN_CLIENT_INITIAL_BACKOFF_MS", "700")]).await;
    assert!(took >= Duration::from_millis(700), "{took:?}");
}

#[tokio::test]
async fn retry_multiplier() {
    let variables = [
        NO_JITTER,
        ("PLUGIN_CLIENT_MAX_RETRIES", "2"),
        ("PLUGIN_CLIENT_INITIAL_BACKOFF_MS", "50"),
        ("PLUGIN_CLIENT_BACKOFF_MULTIPLIER", "20"),
    ];
    let (_, took) = tries(&variables).await;
    assert!(took >= Duration::from_millis(50 + 1000), "{took:?}");
}

#[tokio::test]
async fn retry_max() {
    let variables = [
        NO_JITTER,
        ("PLUGIN_CLIENT_MAX_RETRIES", "3"),
        ("PLUGIN_CLIENT_INITIAL_BACKOFF_MS", "10"),
        ("PLUGIN_CLIENT_BACKOFF_MULTIPLIER", "100"),
        ("PLUGIN_CLIENT_MAX_BACKOFF_MS", "20"),
    ];
    let (_, took) = tries(&variables).await;
    assert!(took < Duration::from_secs(10), "without it the pauses grow to a hundred seconds: {took:?}");
}

#[tokio::test]
async fn retry_jitter() {
    let base = [("PLUGIN_CLIENT_MAX_RETRIES", "20"), ONE_MS, ("PLUGIN_CLIENT_MAX_BACKOFF_MS", "1")];
    let with_jitter = |jitter| [base[0], base[1], base[2], ("PLUGIN_CLIENT_RETRY_JITTER_MS", jitter)];
    // Twenty pauses of up to 200 ms take two seconds on average, and almost never less than half a second.
    let (_, took) = tries(&with_jitter("200")).await;
    assert!(took >= Duration::from_millis(500), "{took:?}");
}

#[tokio::test]
async fn retry_total() {
    let variables =
        [("PLUGIN_CLIENT_MAX_RETRIES", "1000"), NO_JITTER, ("PLUGIN_CLIENT_RETRY_TOTAL_TIMEOUT_S", "0.6")];
    let (count, took) = tries(&variables).await;
    assert!(count < 20 && took < TIMEOUT, "{count} tries in {took:?}");
}
