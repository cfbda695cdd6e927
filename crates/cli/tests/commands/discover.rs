//! `discover`, and the metadata in `inspect`.

use std::fs;

use crate::program::{basic_plugin, rpcplugin};

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
