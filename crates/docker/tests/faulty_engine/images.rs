//! Images: found, fetched, and pinned.

use base64::{Engine as _, engine::general_purpose::URL_SAFE};
use miette::Diagnostic as _;
use rpcplugin_docker::{Credentials, Pull};
use serde_json::{Value, json};

use super::*;
use crate::engine::{FakeEngine, Fault, IMAGE_ID, REPO_DIGEST};

fn code(error: &DockerError) -> String {
    error.code().unwrap().to_string()
}

#[tokio::test]
async fn a_missing_image_is_named_and_not_fetched_by_default() {
    let engine = FakeEngine::start();
    engine.has_no_image();
    let error = fails(&engine.container()).await;
    assert_eq!(code(&error), "rpcplugin::docker::image_missing");
    assert!(error.to_string().contains("localhost/kv:1"), "{error}");
    assert_eq!(code(&engine.container().check().await.unwrap_err()), "rpcplugin::docker::image_missing");
    assert!(engine.received("POST /images/create").is_empty());
}

#[tokio::test]
async fn images_are_fetched_when_the_policy_says_so() {
    let engine = FakeEngine::start();
    start(&engine.container().pull(Pull::IfMissing)).await.unwrap();
    assert!(engine.received("POST /images/create").is_empty(), "it is there");
    engine.has_no_image();
    engine.container().pull(Pull::IfMissing).check().await.unwrap_err();
    assert!(engine.received("POST /images/create").is_empty(), "a check fetches nothing");
    start(&engine.container().pull(Pull::IfMissing)).await.unwrap();
    let pulled = engine.received("POST /images/create").remove(0);
    assert!(pulled.line.contains("fromImage=localhost%2Fkv%3A1"), "{}", pulled.line);
    start(&engine.container().pull(Pull::Always)).await.unwrap();
    assert_eq!(engine.received("POST /images/create").len(), 2);
}

#[tokio::test]
async fn credentials_go_to_the_registry_of_the_image() {
    let engine = FakeEngine::start();
    // Base64 of this password has characters in which its two alphabets differ.
    let credentials = Credentials::new("ada", "~~~???>>>");
    start(&engine.container().pull(Pull::Always).credentials(credentials)).await.unwrap();
    let pulled = engine.received("POST /images/create").remove(0);
    let sent: Value =
        serde_json::from_slice(&URL_SAFE.decode(&pulled.headers["x-registry-auth"]).unwrap()).unwrap();
    assert_eq!(sent["username"], json!("ada"));
    assert_eq!(sent["password"], json!("~~~???>>>"));
    assert_eq!(sent["serveraddress"], json!("localhost"));
}

#[tokio::test]
async fn an_error_within_the_progress_is_the_error_of_the_pull() {
    for (answer, expected) in [
        (
            "{\"status\":\"Pulling\"}\n{\"errorDetail\":{\"message\":\"unauthorized\"},\"error\":\"unauthorized\"}\n",
            "unauthorized",
        ),
        ("{\"status\":\"Pulling\"}\n", "does not have the image"),
    ] {
        let engine = FakeEngine::start();
        engine.has_no_image();
        engine.fault("POST /images/create", Fault::Answer(answer.to_owned()));
        let error = fails(&engine.container().pull(Pull::IfMissing)).await;
        assert_eq!(code(&error), "rpcplugin::docker::pull_failed", "{error}");
        assert!(error.to_string().contains(expected), "{error}");
    }
    let engine = FakeEngine::start();
    engine.has_no_image();
    engine.fault("POST /images/create", Fault::Status(404, "manifest unknown"));
    let error = fails(&engine.container().pull(Pull::IfMissing)).await;
    assert!(error.to_string().contains("manifest unknown"), "{error}");
}

#[tokio::test]
async fn a_pull_that_breaks_off_is_an_error() {
    let engine = FakeEngine::start();
    engine.fault("POST /images/create", Fault::Truncated);
    let error = fails(&engine.container().pull(Pull::Always)).await;
    assert_eq!(code(&error), "rpcplugin::docker::pull_failed", "{error}");
    assert!(error.to_string().contains("broke off"), "{error}");
}

#[tokio::test]
async fn an_image_with_another_digest_is_refused() {
    let engine = FakeEngine::start();
    for digest in [IMAGE_ID, REPO_DIGEST] {
        start(&engine.container().digest(digest)).await.unwrap();
    }
    let other = format!("sha256:{}", "3".repeat(64));
    let error = fails(&engine.container().digest(&other)).await;
    assert_eq!(code(&error), "rpcplugin::docker::wrong_digest");
    let text = error.to_string();
    assert!([other.as_str(), IMAGE_ID, REPO_DIGEST].iter().all(|digest| text.contains(digest)), "{text}");
    assert_eq!(engine.received("POST /containers/create").len(), 2, "nothing was created for it");
    let error = fails(&engine.container().digest(&other).pull(Pull::IfMissing)).await;
    assert_eq!(code(&error), "rpcplugin::docker::wrong_digest", "the registry has no other image");
    assert_eq!(engine.received("POST /images/create").len(), 1);
    assert_eq!(
        code(&fails(&engine.container().digest("sha256:12")).await),
        "rpcplugin::docker::invalid_option"
    );
}
