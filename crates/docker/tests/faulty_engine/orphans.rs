//! Containers whose hosts are gone.

use rpcplugin_transport::ProcessRecord;
use serde_json::{Value, json};

use super::*;
use crate::engine::{FakeEngine, Fault};

fn listed(name: &str, host: &str, dir: &str) -> Value {
    json!({
        "Names": [format!("/{name}")],
        "State": "running",
        "Labels": { "rpcplugin.host": host, "rpcplugin.copy": "another", "rpcplugin.socket-dir": dir },
    })
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn containers_and_directories_of_hosts_that_are_gone_are_removed() {
    let mut child =
        std::process::Command::new("/bin/cat").stdin(std::process::Stdio::piped()).spawn().unwrap();
    let gone = ProcessRecord::of(child.id()).unwrap().to_string();
    drop(child.stdin.take());
    child.wait().unwrap();
    let here = ProcessRecord::of(std::process::id()).unwrap().to_string();

    let base = TempDir::new_in("/tmp").unwrap();
    let make = |name: &str, owner: &str| {
        let dir = base.path().join(name);
        std::fs::create_dir(&dir).unwrap();
        std::os::unix::fs::symlink(owner, dir.join(".host")).unwrap();
        dir
    };
    let (orphaned, in_use) = (make("rpcplugin-gone", &gone), make("rpcplugin-here", &here));
    let engine = FakeEngine::start();
    engine.other(listed("rpcplugin-a", &gone, orphaned.to_str().unwrap()));
    engine.other(listed("rpcplugin-b", &here, in_use.to_str().unwrap()));
    // A label that leads to a directory of another program.
    let foreign = make("another-program", &gone);
    engine.other(listed("rpcplugin-c", &gone, foreign.to_str().unwrap()));
    engine.other(json!({ "Names": ["/database"], "State": "running", "Labels": {} }));

    // One that the engine does not remove keeps no other one.
    engine.fault("DELETE /containers/rpcplugin-a", Fault::Status(409, "removal is already in progress"));
    let error = engine.container().remove_orphans().await.unwrap_err();
    assert!(error.to_string().contains("already in progress"), "{error}");
    assert_eq!(engine.received("DELETE /containers/rpcplugin-c").len(), 1);
    assert!(orphaned.exists() && in_use.exists() && foreign.exists());
    engine.heal();
    assert_eq!(engine.container().remove_orphans().await.unwrap(), ["rpcplugin-a"]);
    assert!(!orphaned.exists() && in_use.exists());
    assert_eq!(engine.container().remove_orphans().await.unwrap(), [""; 0]);
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_start_removes_orphans_too() {
    let here = ProcessRecord::of(std::process::id()).unwrap().to_string();
    let gone = here.replacen(&std::process::id().to_string(), "2147483632", 1);
    let engine = FakeEngine::start();
    engine.other(listed("rpcplugin-a", &gone, "/nowhere"));
    let _started = start(&engine.container()).await.unwrap();
    eventually("the orphan is removed", || !engine.received("DELETE /containers/rpcplugin-a").is_empty())
        .await;
}
