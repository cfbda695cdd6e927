//! Starts that an engine refuses, breaks off or delays.

use std::{fs, os::unix::fs::PermissionsExt as _};

use miette::Diagnostic as _;
use rpcplugin_docker::{Container, SOCKET_DIR, User};
use serde_json::json;
use tokio::io::AsyncReadExt as _;

use super::*;
use crate::engine::{FakeEngine, Fault, IMAGE_ID};

fn code(error: &DockerError) -> String {
    error.code().unwrap().to_string()
}

#[tokio::test]
async fn the_container_has_what_was_asked_for_and_nothing_else() {
    let engine = FakeEngine::start();
    let dir = TempDir::new_in("/tmp").unwrap();
    let container = engine
        .container()
        .memory(32 << 20)
        .cpus(0.5)
        .pids(64)
        .env("LEVEL", "debug")
        .mount("/opt/models", "/models")
        .entrypoint(["/kv"])
        .args(["--fast"]);
    let started = container.start(&environment(&dir)).await.unwrap();
    let created = engine.received("POST /containers/create").remove(0).body;
    assert_eq!(created["Image"], IMAGE_ID, "a tag may be moved after the check");
    assert_eq!((&created["Entrypoint"], &created["Cmd"]), (&json!(["/kv"]), &json!(["--fast"])));
    let env = ["KV_COOKIE=hunter2".to_owned(), "LEVEL=debug".to_owned(), format!("TMPDIR={SOCKET_DIR}")];
    let sent: Vec<_> = created["Env"].as_array().unwrap().iter().map(|one| one.as_str().unwrap()).collect();
    for one in &env {
        assert!(sent.contains(&one.as_str()), "{sent:?}");
    }
    let expected = ["KV_COOKIE=", "LEVEL=", "TMPDIR=", "PLUGIN_"];
    let is_expected = |one: &&str| expected.iter().any(|start| one.starts_with(start));
    assert!(sent.iter().all(is_expected), "nothing of this process's own environment: {sent:?}");
    let host = &created["HostConfig"];
    for (name, value) in [
        ("NetworkMode", json!("none")),
        ("CapDrop", json!(["ALL"])),
        ("SecurityOpt", json!(["no-new-privileges"])),
        ("ReadonlyRootfs", json!(true)),
        ("Memory", json!(32 << 20)),
        ("MemorySwap", json!(32 << 20)),
        ("NanoCpus", json!(500_000_000)),
        ("PidsLimit", json!(64)),
        ("LogConfig", json!({ "Type": "none" })),
    ] {
        assert_eq!(host[name], value, "{name}");
    }
    let mounts = host["Mounts"].as_array().unwrap();
    let mount = |target: &str| mounts.iter().find(|mount| mount["Target"] == target).unwrap();
    assert_eq!(mount(SOCKET_DIR)["Source"], dir.path().to_str().unwrap());
    assert_eq!(
        (&mount(SOCKET_DIR)["ReadOnly"], &mount("/models")["ReadOnly"]),
        (&json!(false), &json!(true))
    );
    assert!(host.get("Privileged").is_none() && host.get("CapAdd").is_none(), "{host}");
    drop(started);
    eventually("the container is removed", || !engine.has_container()).await;
}

#[cfg(feature = "sandbox")]
#[tokio::test]
async fn a_sandbox_is_sent_as_settings_and_reported() {
    use rpcplugin_client::{
        LaunchFault,
        sandbox::{Layer, LayerState, Limits, Network, Sandbox},
    };

    let engine = FakeEngine::start();
    let dir = TempDir::new_in("/tmp").unwrap();
    let limits = Limits::new().memory(32 << 20).processes(9).open_files(64);
    let sandbox = Sandbox::new().read("/opt/models").write("/var/cache/kv").limits(limits);
    let started = engine.container().sandbox(sandbox.clone()).start(&environment(&dir)).await.unwrap();
    let confinement = started.confinement.clone().unwrap();
    assert!(confinement.is_full(), "{confinement}");
    assert_eq!(*confinement.state(Layer::Memory), LayerState::Enforced);
    let created = engine.received("POST /containers/create").remove(0).body;
    let host = &created["HostConfig"];
    for (name, value) in [
        ("NetworkMode", json!("none")),
        ("ReadonlyRootfs", json!(true)),
        ("Memory", json!(32 << 20)),
        ("PidsLimit", json!(10)),
        (
            "Ulimits",
            json!([
                { "Name": "nofile", "Soft": 64, "Hard": 64 },
                { "Name": "core", "Soft": 0, "Hard": 0 },
            ]),
        ),
    ] {
        assert_eq!(host[name], value, "{name}");
    }
    let mounts = host["Mounts"].as_array().unwrap();
    let read_only = |path: &str| {
        let mount = mounts.iter().find(|mount| mount["Target"] == path && mount["Source"] == path).unwrap();
        mount["ReadOnly"].clone()
    };
    assert_eq!((read_only("/opt/models"), read_only("/var/cache/kv")), (json!(true), json!(false)));
    drop(started);
    eventually("the container is removed", || !engine.has_container()).await;

    let port = sandbox.network(Network::none().connect([443]));
    let error = engine.container().sandbox(port).start(&environment(&dir)).await.map(drop).unwrap_err();
    let LaunchFault::Sandbox(fault) = &error else { panic!("{error}") };
    assert!(fault.to_string().contains("tcp (a container has no network, or all of one"), "{fault}");
    assert_eq!(engine.received("POST /containers/create").len(), 1, "no second container");
}

#[tokio::test]
async fn a_limit_of_zero_is_not_sent_as_no_limit() {
    let engine = FakeEngine::start();
    let dir = TempDir::new_in("/tmp").unwrap();
    for cpus in [0.0, f64::NAN] {
        let container = engine.container().memory(0).cpus(cpus).pids(0);
        drop(container.start(&environment(&dir)).await.unwrap());
        eventually("the container is removed", || !engine.has_container()).await;
    }
    for created in engine.received("POST /containers/create") {
        for limit in ["Memory", "MemorySwap", "NanoCpus", "PidsLimit"] {
            assert_eq!(created.body["HostConfig"][limit], 1, "{limit}");
        }
    }
}

#[tokio::test]
async fn each_refused_step_is_named_and_leaves_no_container() {
    for (request, action) in [
        ("GET /version", "say its version"),
        ("GET /info", "describe itself"),
        ("GET /images/", "inspect the image"),
        ("POST /containers/create", "create the container"),
    ] {
        let engine = FakeEngine::start();
        engine.fault(request, Fault::Status(500, "the disk is full"));
        let error = fails(&engine.container()).await;
        assert_eq!(code(&error), "rpcplugin::docker::engine_refused", "{error}");
        let text = error.to_string();
        assert!(text.contains(action) && text.contains("the disk is full") && text.contains("500"), "{text}");
        eventually("the container is removed", || !engine.has_container()).await;
    }
    for request in ["/attach", "/start"] {
        let engine = FakeEngine::start();
        engine.fault(request, Fault::Status(500, "exec: /kv: no such file"));
        let error = fails(&engine.container()).await;
        assert_eq!(code(&error), "rpcplugin::docker::not_started", "{error}");
        assert!(error.to_string().contains("no such file"), "{error}");
        eventually("the container is removed", || !engine.has_container()).await;
    }
}

#[tokio::test]
async fn answers_that_break_off_are_named_and_leave_no_container() {
    for request in ["GET /version", "GET /info", "GET /images/", "POST /containers/create"] {
        let engine = FakeEngine::start();
        engine.fault(request, Fault::Truncated);
        let error = fails(&engine.container()).await;
        assert_eq!(code(&error), "rpcplugin::docker::engine_broken", "{request}: {}", chain(&error));
        eventually("the container is removed", || !engine.has_container()).await;
    }
    let engine = FakeEngine::start();
    engine.fault("GET /info", Fault::Answer("<html>".to_owned()));
    assert_eq!(code(&fails(&engine.container()).await), "rpcplugin::docker::engine_broken");
}

#[tokio::test]
async fn an_engine_that_dies_after_the_creation_is_named_and_the_container_is_removed_when_it_is_back() {
    let mut engine = FakeEngine::start();
    engine.fault("/attach", Fault::Slow(TIMEOUT));
    let container = engine.container();
    let starting = tokio::spawn(async move { fails(&container).await });
    eventually("the host attaches", || !engine.received("/attach").is_empty()).await;
    engine.die();
    let error = starting.await.unwrap();
    let expected = ["rpcplugin::docker::engine_broken", "rpcplugin::docker::engine_unreachable"];
    assert!(expected.contains(&&*code(&error)), "{}", chain(&error));
    assert!(engine.has_container());
    engine.heal();
    engine.resume();
    eventually("the container is removed", || !engine.has_container()).await;
}

#[tokio::test]
async fn a_start_that_is_given_up_leaves_no_container() {
    for request in ["POST /containers/create", "/attach", "/start"] {
        let engine = FakeEngine::start();
        engine.fault(request, Fault::Slow(Duration::from_millis(300)));
        let dir = TempDir::new_in("/tmp").unwrap();
        let container = engine.container();
        {
            let launch = environment(&dir);
            let mut starting = Box::pin(container.start(&launch));
            tokio::select! {
                _ = &mut starting => panic!("{request} was not slow"),
                () = eventually("the request is there", || !engine.received(request).is_empty()) => {}
            }
        }
        eventually("the container is removed", || {
            !engine.received("DELETE /containers/").is_empty() && !engine.has_container()
        })
        .await;
    }
}

#[tokio::test]
async fn an_engine_that_is_not_there_is_named() {
    let mut engine = FakeEngine::start();
    engine.die();
    let error = fails(&engine.container()).await;
    assert_eq!(code(&error), "rpcplugin::docker::engine_unreachable");
    assert!(error.to_string().contains(engine.socket().to_str().unwrap()), "{error}");
    assert_eq!(code(&engine.container().check().await.unwrap_err()), "rpcplugin::docker::engine_unreachable");
    let error = fails(&Container::new("kv").engine("ssh://host")).await;
    assert_eq!(code(&error), "rpcplugin::docker::invalid_address");
}

#[tokio::test]
async fn a_socket_that_this_user_may_not_use_is_named() {
    if rustix::process::geteuid().is_root() {
        // Root may use every socket.
        return;
    }
    let engine = FakeEngine::start();
    fs::set_permissions(engine.socket(), fs::Permissions::from_mode(0o000)).unwrap();
    assert_eq!(code(&fails(&engine.container()).await), "rpcplugin::docker::engine_denied");
}

#[tokio::test]
async fn a_runtime_that_the_engine_lacks_or_ignores_is_refused() {
    let engine = FakeEngine::start();
    let error = fails(&engine.container().runtime("kata")).await;
    assert_eq!(code(&error), "rpcplugin::docker::runtime_missing");
    assert!(error.to_string().contains("runsc"), "it names those that there are: {error}");
    assert_eq!(
        code(&engine.container().runtime("kata").check().await.unwrap_err()),
        "rpcplugin::docker::runtime_missing"
    );
    // The engine says that the container has runc.
    let error = fails(&engine.container().runtime("runsc")).await;
    assert_eq!(code(&error), "rpcplugin::docker::runtime_ignored");
    eventually("the container is removed", || !engine.has_container()).await;
    assert!(engine.received("/start").is_empty(), "nothing ran without the sandbox that was asked for");
    start(&engine.container().runtime("runc")).await.unwrap();
}

#[tokio::test]
async fn a_user_that_cannot_create_sockets_is_refused_before_the_start() {
    let engine = FakeEngine::start();
    let user = User::Ids { uid: 65534, gid: 65534 };
    let error = fails(&engine.container().user(user)).await;
    assert_eq!(code(&error), "rpcplugin::docker::socket_dir", "{error}");
    assert!(error.to_string().contains("65534"), "{error}");
    assert!(engine.received("POST /containers/create").is_empty());
}

#[tokio::test]
async fn the_engine_describes_itself() {
    let engine = FakeEngine::start();
    let found = engine.container().check().await.unwrap();
    assert_eq!((&*found.name, &*found.version, found.is_rootless), ("Fake Engine", "1.0", false));
    assert_eq!(found.runtimes, ["runc", "runsc"]);
    assert!(engine.received("POST").is_empty(), "nothing was started");
}

#[tokio::test]
async fn output_is_split_into_stdout_and_stderr() {
    let engine = FakeEngine::start();
    let mut started = start(&engine.container()).await.unwrap();
    engine.print(2, "log\n");
    engine.print(1, "1|1|unix|/run/rpcplugin/x|grpc\n");
    engine.exit(0, false);
    let (mut stdout, mut stderr) = (String::new(), String::new());
    started.stdout.read_to_string(&mut stdout).await.unwrap();
    started.stderr.read_to_string(&mut stderr).await.unwrap();
    assert_eq!((&*stdout, &*stderr), ("1|1|unix|/run/rpcplugin/x|grpc\n", "log\n"));
}
