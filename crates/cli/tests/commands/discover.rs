//! `discover`, and the metadata in `inspect`.

use std::fs;

use crate::{
    program::{basic_plugin, rpcplugin},
    running::{Running, kit},
};

#[test]
fn metadata_of_a_running_plugin_is_shown() {
    let plugin = basic_plugin();
    let plugin = plugin.to_str().unwrap();
    let facts =
        rpcplugin(["--json", "inspect", "--cookie", "BASIC_PLUGIN=hello", plugin]).ended_with(0).json();
    let metadata = &facts["metadata"];
    assert_eq!(
        (&metadata["name"], &metadata["capabilities"]),
        (&"basic".into(), &serde_json::json!(["nothing"]))
    );
    assert_eq!(metadata["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(metadata["build"], serde_json::json!({ "example": "yes" }));
    assert!(metadata["minimum_host_version"].is_null() && facts["metadata_fault"].is_null());
    let served = facts["protocol_services"].as_array().unwrap();
    assert!(served.contains(&"rpcplugin.v1.PluginMetadata".into()), "{served:?}");
    assert!(facts["services"].as_array().unwrap().is_empty(), "{facts}");
    let tree = rpcplugin(["inspect", "--cookie", "BASIC_PLUGIN=hello", plugin]).ended_with(0);
    tree.prints(&["─ metadata", "─ name ", "basic\n", "─ capabilities   nothing", "─ build example  yes"]);
}

#[test]
fn plugins_in_a_directory_are_listed_without_a_start() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_str().unwrap();
    std::os::unix::fs::symlink(basic_plugin(), dir.path().join("a-plugin")).unwrap();
    fs::write(dir.path().join("b-plugin"), "#!/bin/sh\ntouch \"$0.started\"\n").unwrap();
    fs::write(dir.path().join("notes.txt"), "notes").unwrap();
    let run = rpcplugin(["--json", "discover", path]).ended_with(0).json();
    let plugins = run["plugins"].as_array().unwrap();
    assert_eq!(plugins.len(), 3);
    assert_eq!((&run["directory"], &plugins[0]["metadata"]["name"]), (&path.into(), &"basic".into()));
    assert!(plugins[1]["metadata"].is_null() && plugins[1]["kind"] == "script for /bin/sh", "{run}");
    assert!(plugins[2]["obstacle"].as_str().unwrap().contains("neither a program nor a script"), "{run}");
    let run = rpcplugin(["discover", "--glob", "*-plugin", path]).ended_with(0);
    assert!(!run.stdout.contains("notes.txt"), "{}", run.stdout);
    run.prints(&["a-plugin", "name", "basic", "b-plugin", "no metadata"]);
    assert!(!dir.path().join("b-plugin.started").exists());
    rpcplugin(["discover", "--glob", "z*", path]).ended_with(0).prints(&["no file matches z*"]);
    rpcplugin(["discover", "/nowhere/at/all"]).ended_with(1).prints(&["cannot read /nowhere/at/all"]);
    rpcplugin(["discover"]).ended_with(2);
}

#[test]
fn sockets_in_a_directory_are_listed_with_what_their_plugins_report() {
    let dir = tempfile::Builder::new().prefix("d").tempdir().unwrap();
    let path = dir.path().to_str().unwrap();
    drop(std::os::unix::net::UnixListener::bind(dir.path().join("stale.sock")).unwrap());
    rpcplugin(["discover", "--sockets", path]).ended_with(0).prints(&[
        "stale.sock",
        "name",
        "no process listens",
    ]);
    let listed = rpcplugin(["--json", "discover", "--sockets", path]).ended_with(0).json();
    let stale = &listed["sockets"][0];
    assert_eq!((&stale["name"], stale["health"].is_null()), (&"stale".into(), true));
    assert_eq!(stale["fault"]["code"], "rpcplugin::transport::folder_no_listener");
    assert!(stale["fault"]["help"].as_str().unwrap().contains("remove the file"), "{stale}");
    fs::remove_file(dir.path().join("stale.sock")).unwrap();
    rpcplugin(["discover", "--sockets", path]).ended_with(0).prints(&["no socket"]);
    rpcplugin(["discover", "--sockets", "/nowhere/at/all"])
        .ended_with(1)
        .prints(&["cannot read /nowhere/at/all"]);
    rpcplugin(["discover", "--sockets", "--glob", "*", path]).ended_with(2);
}

#[test]
fn plugins_whose_sockets_are_in_a_directory_are_attached_to_and_run_on() {
    let Some(kit) = kit() else { return };
    let dir = tempfile::Builder::new().prefix("d").tempdir().unwrap();
    let path = dir.path().to_str().unwrap();
    let running = Running::start(&["--no-mtls"], &kit);
    let config: serde_json::Value = serde_json::from_str(&running.reattach()).unwrap();
    let socket = config["Addr"]["String"].as_str().unwrap();
    std::os::unix::fs::symlink(socket, dir.path().join("kit.sock")).unwrap();
    for _ in 0..2 {
        let listed = rpcplugin(["--json", "discover", "--sockets", path]).ended_with(0).json();
        let plugin = &listed["sockets"][0];
        assert_eq!((&plugin["name"], &plugin["health"]), (&"kit".into(), &"SERVING".into()), "{listed}");
        // The process listens at another path than that of the link.
        assert!(plugin["pid"].is_null(), "{listed}");
        let services = plugin["services"].as_array().unwrap();
        assert!(services.contains(&"conformance.v1.Kit".into()), "{listed}");
    }
    rpcplugin(["discover", "--sockets", path]).ended_with(0).prints(&[
        "kit.sock",
        "SERVING",
        "conformance.v1.Kit",
    ]);
}
