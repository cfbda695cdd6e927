//! Containers whose engine dies, or that end in each of the ways.

use rpcplugin_client::{ExitCause, ExitReason, PluginProcess as _, Signal};
use tokio::io::AsyncReadExt as _;

use super::*;
use crate::engine::{FakeEngine, Fault};

async fn ended(process: &mut ContainerProcess) -> ExitReason {
    timeout(TIMEOUT, process.wait()).await.unwrap()
}

#[tokio::test]
async fn exits_are_reported_with_their_reason() {
    for (code, oom, expected) in [
        (0, false, "exit status 0"),
        (3, false, "exit status 3"),
        (139, false, "SIGSEGV"),
        (137, true, "more memory than its limit of 32 MiB"),
    ] {
        let engine = FakeEngine::start();
        let mut started = start(&engine.container().memory(32 << 20)).await.unwrap();
        engine.exit(code, oom);
        let reason = ended(&mut started.process).await;
        assert!(reason.to_string().contains(expected), "{reason}");
        assert!(!engine.has_container(), "the exit is reported when the container is removed");
    }
}

#[tokio::test]
async fn a_container_that_another_program_removes_is_named() {
    let engine = FakeEngine::start();
    let mut started = start(&engine.container()).await.unwrap();
    engine.remove();
    let ExitReason::Reported(report) = ended(&mut started.process).await else { panic!("not reported") };
    assert_eq!(report.cause, ExitCause::Removed);
}

#[tokio::test]
async fn the_end_of_the_engine_is_not_the_end_of_the_plugin() {
    let mut engine = FakeEngine::start();
    let mut started = start(&engine.container()).await.unwrap();
    engine.print(2, "before\n");
    let mut read = [0; 7];
    started.stderr.read_exact(&mut read).await.unwrap();
    assert_eq!(&read, b"before\n");
    engine.die();
    assert!(timeout(Duration::from_millis(300), started.process.wait()).await.is_err(), "the plugin runs");
    engine.resume();
    eventually("the host attaches again", || engine.is_attached()).await;
    engine.print(2, "after\n");
    let mut read = [0; 6];
    timeout(TIMEOUT, started.stderr.read_exact(&mut read)).await.unwrap().unwrap();
    assert_eq!(&read, b"after\n");
    engine.exit(5, false);
    assert_eq!(ended(&mut started.process).await, ExitReason::Status(5));
}

#[tokio::test]
async fn a_plugin_that_ends_while_the_engine_is_away_is_noticed() {
    let mut engine = FakeEngine::start();
    let mut started = start(&engine.container()).await.unwrap();
    engine.die();
    engine.exit(4, false);
    engine.resume();
    assert_eq!(ended(&mut started.process).await, ExitReason::Status(4));
    eventually("the container is removed", || !engine.has_container()).await;
}

#[tokio::test]
async fn an_exit_that_the_engine_notices_late_is_no_restart() {
    let engine = FakeEngine::start();
    let mut started = start(&engine.container()).await.unwrap();
    let running = r#"{"State":{"Running":true,"Status":"running"}}"#;
    engine.fault("/json", Fault::Answer(running.to_owned()));
    engine.exit(6, false);
    eventually("the engine is asked several times", || engine.received("/json").len() > 4).await;
    engine.heal();
    assert_eq!(ended(&mut started.process).await, ExitReason::Status(6));
    assert_eq!(engine.received("/attach").len(), 1, "a container that has exited is not attached to");
}

#[tokio::test]
async fn a_kill_and_a_drop_remove_the_container() {
    let engine = FakeEngine::start();
    let mut started = start(&engine.container()).await.unwrap();
    started.process.kill().await;
    assert_eq!(ended(&mut started.process).await, ExitReason::Signal(Signal::KILL));
    assert!(!engine.has_container());
    drop(start(&engine.container()).await.unwrap());
    eventually("the container is removed", || !engine.has_container()).await;
}

#[tokio::test]
async fn a_request_to_end_is_a_signal() {
    let engine = FakeEngine::start();
    let mut started = start(&engine.container()).await.unwrap();
    started.process.terminate().await;
    assert_eq!(ended(&mut started.process).await, ExitReason::Signal(Signal::TERM));
    assert_eq!(engine.received("/kill?signal=SIGTERM").len(), 1);
}

#[tokio::test]
async fn a_kill_while_the_engine_is_away_is_done_when_it_is_back() {
    let mut engine = FakeEngine::start();
    let mut started = start(&engine.container()).await.unwrap();
    engine.die();
    started.process.kill().await;
    assert!(timeout(Duration::from_millis(200), started.process.wait()).await.is_err());
    engine.resume();
    assert_eq!(ended(&mut started.process).await, ExitReason::Signal(Signal::KILL));
    assert!(!engine.has_container());
}

#[tokio::test]
async fn a_container_that_is_handed_over_runs_on_under_another_name() {
    let engine = FakeEngine::start();
    let started = start(&engine.container()).await.unwrap();
    started.process.leave().await;
    assert!(engine.has_container());
    let renamed = engine.received("/rename").remove(0).line;
    assert!(renamed.contains("name=rpcplugin-without-host-kv-1-"), "{renamed}");
    assert!(engine.received("DELETE").is_empty());
}

#[test]
fn a_runtime_that_ends_takes_its_containers_with_it() {
    // The engine has a runtime of its own, because it outlives the host's.
    let engines = tokio::runtime::Runtime::new().unwrap();
    let engine = engines.block_on(async { FakeEngine::start() });
    let host = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let started = host.block_on(start(&engine.container())).unwrap();
    assert!(engine.has_container());
    // As at the end of `main`: the plugin first, and the runtime right after.
    drop(started);
    drop(host);
    assert!(!engine.has_container(), "the end of the runtime waits for the removal");
}
