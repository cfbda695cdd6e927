//! The file of `run --handover` never replaces another file.

use std::{fs, os::unix::fs::symlink, path::Path};

use rustix::process::Signal;

use crate::{
    program::{eventually, rpcplugin, script},
    running::{Running, kit},
};

/// Waits until the file is complete, and returns its text.
fn written(file: &Path) -> String {
    eventually(|| fs::read_to_string(file).ok().filter(|text| text.ends_with('\n')))
}

#[test]
fn existing_files_are_not_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let started = dir.path().join("started");
    let plugin = script(dir.path(), "plugin", &format!("touch {}", started.display()));
    let plugin = plugin.to_str().unwrap();
    let refused = |path: &Path, words: &str| {
        let run = rpcplugin(["run", "--handover", path.to_str().unwrap(), plugin]).ended_with(2);
        run.prints(&["rpcplugin::config::invalid_arguments", words, "--handover"]);
        assert!(!started.exists(), "the plugin is not started");
    };
    let reattach = r#"{"Protocol":"grpc","ProtocolVersion":1,"Pid":1,"Test":true,"Addr":{"Network":"unix","String":"/tmp/p"}}"#;
    for content in ["", "notes\n", "{}", "[]", reattach, "{\"WrittenBy\":1}"] {
        let file = dir.path().join("file");
        fs::write(&file, content).unwrap();
        refused(&file, "not from an earlier run");
        assert_eq!(fs::read_to_string(&file).unwrap(), content);
    }
    let link = dir.path().join("link");
    symlink("nowhere", &link).unwrap();
    refused(&link, "exists and is not a file");
    assert_eq!(fs::read_link(&link).unwrap(), Path::new("nowhere"));
    refused(dir.path(), "exists and is not a file");
    refused(Path::new("/dev/null"), "exists and is not a file");
    refused(&dir.path().join("no/such/directory"), "cannot be written");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 3, "the plugin, the file and the link");
}

#[test]
fn a_file_of_an_earlier_run_is_replaced() {
    let Some(kit) = kit() else { return };
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("handover.json");
    let killed = Running::start(&["--handover", file.to_str().unwrap()], &kit);
    let left = written(&file);
    killed.end_with(Signal::KILL);
    assert_eq!(fs::read_to_string(&file).unwrap(), left);
    let running = Running::start(&["--handover", file.to_str().unwrap()], &kit);
    assert_ne!(written(&file), left);
    let attached = rpcplugin(["--json", "attach", file.to_str().unwrap()]).ended_with(0).json();
    assert_eq!(attached["process"]["pid"], running.ready["pid"]);
    assert_eq!(running.end_with(Signal::INT).0, Some(0));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn a_file_that_has_taken_its_place_is_not_removed() {
    let Some(kit) = kit() else { return };
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("handover.json");
    for in_place in [false, true] {
        let running = Running::start(&["--handover", file.to_str().unwrap()], &kit);
        written(&file);
        if !in_place {
            fs::remove_file(&file).unwrap();
        }
        fs::write(&file, "mine\n").unwrap();
        assert_eq!(running.end_with(Signal::INT).0, Some(0));
        assert_eq!(fs::read_to_string(&file).unwrap(), "mine\n");
        fs::remove_file(&file).unwrap();
    }
}
