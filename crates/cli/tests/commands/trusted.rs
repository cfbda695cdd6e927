//! Lock files: `trust` and `--locked`.

use std::{
    ffi::OsStr,
    fs::{self, OpenOptions},
    io::Write as _,
    path::{Path, PathBuf},
};

use rpcplugin::sandbox::Sandbox;
use serde_json::json;
use tempfile::TempDir;

use crate::{
    program::{Run, rpcplugin, script},
    running::kit,
    terminal::answering_on_a_terminal,
};

/// A project with a plugin and a lock file.
struct Project {
    dir: TempDir,
}

impl Project {
    /// A project with the conformance plugin as `bin/kit-plugin`. `None` if that is not built.
    fn new() -> Option<Self> {
        let this = Self { dir: tempfile::tempdir().unwrap() };
        for name in ["bin", "data"] {
            fs::create_dir(this.dir.path().join(name)).unwrap();
        }
        fs::copy(kit()?, this.plugin()).unwrap();
        Some(this)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn plugin(&self) -> PathBuf {
        self.path("bin/kit-plugin")
    }

    fn trust(&self, args: &[&str]) -> Run {
        let file = self.path("rpcplugin.lock");
        rpcplugin(
            ["trust", "--lock-file"]
                .map(OsStr::new)
                .into_iter()
                .chain([file.as_os_str()])
                .chain(args.iter().map(OsStr::new)),
        )
    }

    /// Records the plugin with these options.
    fn record(&self, args: &[&str]) -> Run {
        let plugin = self.plugin();
        self.trust(&[&["--yes"], args, &[plugin.to_str().unwrap()]].concat())
    }

    fn locked(&self, command: &str, args: &[&str], plugin: &Path) -> Run {
        let file = format!("--locked={}", self.path("rpcplugin.lock").display());
        rpcplugin([command, &file].iter().chain(args).map(OsStr::new).chain([plugin.as_os_str()]))
    }
}

#[test]
fn a_lock_file_is_readable_and_says_what_a_plugin_may_do() {
    let Some(project) = Project::new() else { return };
    let data = project.path("data");
    let grants =
        ["--sandbox", "--allow-read", data.to_str().unwrap(), "--allow-net", "443", "--limit", "memory=512M"];
    project.record(&grants).ended_with(0).prints(&["bin/kit-plugin is trusted", "connect to TCP port 443"]);
    let text = fs::read_to_string(project.path("rpcplugin.lock")).unwrap();
    let digest = text.lines().find_map(|line| line.strip_prefix("sha256 = ")).unwrap();
    assert_eq!(digest.len(), 66);
    let expected = format!(
        "version = 1\n\n[plugins.\"bin/kit-plugin\"]\nsha256 = {digest}\nsandbox = true\nallow = [\n    \"connect tcp 443\",\n    \
         \"read ./data\",\n]\nlimits = [\n    \"memory=512M\",\n]\n"
    );
    assert!(text.ends_with(&expected), "{text}");

    project.record(&grants).ended_with(0).prints(&["is trusted already"]);
    let less = project.record(&["--sandbox", "--limit", "memory=1G"]).ended_with(0);
    less.prints(&[
        "may no longer: connect to TCP port 443",
        "may now: the limit memory=1G in place of memory=512M",
    ]);
    let listed = project.trust(&["--json", "--list"]).ended_with(0).json();
    assert_eq!(listed["plugins"][0]["plugin"], "bin/kit-plugin");
    assert_eq!(listed["plugins"][0]["limits"], json!(["memory=1G"]));
    project.trust(&["--list"]).ended_with(0).prints(&["bin/kit-plugin", "nothing beyond the default"]);

    let plugin = project.plugin();
    project.trust(&["--remove", plugin.to_str().unwrap()]).ended_with(0);
    project.trust(&["--remove", plugin.to_str().unwrap()]).ended_with(2).prints(&["is not in"]);
    project.trust(&["--list"]).ended_with(0).prints(&["no plugin is trusted"]);
}

#[test]
fn a_plugin_that_changed_is_refused_until_it_is_trusted_again() {
    let Some(project) = Project::new() else { return };
    project.record(&[]).ended_with(0).prints(&["may do everything that its user may"]);
    project.locked("inspect", &[], &project.plugin()).ended_with(0);
    project.trust(&["--check"]).ended_with(0).prints(&["unchanged"]);

    OpenOptions::new().append(true).open(project.plugin()).unwrap().write_all(b"x").unwrap();
    for command in ["inspect", "run", "conformance", "bench"] {
        let refused = project.locked(command, &[], &project.plugin()).ended_with(3);
        refused.prints(&[
            "rpcplugin::security::plugin_changed",
            "has changed since it was trusted",
            "rpcplugin trust",
        ]);
    }
    let plugin = project.plugin();
    let call = [OsStr::new("call"), OsStr::new("Kit/Unary"), OsStr::new("-d{}")];
    let locked = format!("--locked={}", project.path("rpcplugin.lock").display());
    let refused = rpcplugin(call.into_iter().chain([OsStr::new(&locked), plugin.as_os_str()])).ended_with(3);
    refused.prints(&["rpcplugin::security::plugin_changed"]);
    project
        .locked("doctor", &[], &plugin)
        .ended_with(1)
        .prints(&["wrong  trust", "has changed since it was trusted"]);
    let checked = project.trust(&["--json", "--check"]).ended_with(1).json();
    assert_eq!((&checked["unchanged"], &checked["plugins"][0]["state"]), (&json!(false), &json!("changed")));

    project.record(&[]).ended_with(0).prints(&["another file: its digest is"]);
    project.locked("inspect", &[], &plugin).ended_with(0);
}

#[test]
fn a_plugin_gets_what_was_granted_and_no_more() {
    let Some(project) = Project::new() else { return };
    if !Sandbox::new().check().is_full() {
        return;
    }
    project.record(&["--sandbox", "--allow-read", "/usr"]).ended_with(0);
    let granted = project.locked("inspect", &["--json"], &project.plugin()).ended_with(0).json();
    assert_eq!(granted["sandbox"]["allow"], json!(["read /usr"]));
    let less =
        project.locked("inspect", &["--json", "--sandbox", "--allow-read", "/usr/lib"], &project.plugin());
    assert_eq!(less.ended_with(0).json()["sandbox"]["allow"], json!(["read /usr/lib"]));
    let more = ["--sandbox", "--allow-read", "/usr/../etc", "--allow-env", "HOME"];
    for command in ["inspect", "run", "conformance"] {
        let refused = project.locked(command, &more, &project.plugin()).ended_with(3);
        refused.prints(&["rpcplugin::security::plugin_asks_for_more", "read the variable HOME; read /etc"]);
    }
    project.locked("doctor", &more, &project.plugin()).ended_with(1).prints(&["wrong  trust", "read /etc"]);
}

#[test]
fn plugins_and_lock_files_that_cannot_be_trusted_are_refused() {
    let Some(project) = Project::new() else { return };
    let plugin = project.plugin();
    project.locked("inspect", &[], &plugin).ended_with(2).prints(&["rpcplugin::config::lock_file_missing"]);
    project.trust(&["--list"]).ended_with(2).prints(&["there is no lock file"]);
    let dir = project.path("data");
    let list = rpcplugin(["trust", "--list", "--lock-file", dir.to_str().unwrap()]).ended_with(2);
    list.prints(&["rpcplugin::config::lock_file_unreadable", "not a regular file"]);
    let nowhere = rpcplugin(["trust", "--yes", "--lock-file", "/no/such/x.lock", plugin.to_str().unwrap()]);
    nowhere.ended_with(2).prints(&["rpcplugin::config::lock_file_unwritable"]);
    // Without a terminal no person can be asked.
    project.trust(&[plugin.to_str().unwrap()]).ended_with(2).prints(&["--yes"]);
    project
        .trust(&["--yes", "python3"])
        .ended_with(3)
        .prints(&["rpcplugin::security::interpreter_not_trusted", "#!"]);
    project
        .trust(&["--yes", "/no/such/plugin"])
        .ended_with(3)
        .prints(&["rpcplugin::security::plugin_unreadable"]);
    for path in [project.dir.path(), &project.path("bin")] {
        let itself = project.record(&["--sandbox", "--allow-write", path.to_str().unwrap()]).ended_with(3);
        itself.prints(&["rpcplugin::security::grant_breaks_trust"]);
    }
    assert!(!project.path("rpcplugin.lock").exists());

    project.record(&[]).ended_with(0);
    let other = script(&project.path("bin"), "other", "exit 1");
    project.locked("inspect", &[], &other).ended_with(3).prints(&["rpcplugin::security::plugin_not_trusted"]);
    let scripted = project.trust(&["--yes", other.to_str().unwrap()]).ended_with(0);
    scripted.prints(&["neither its interpreter nor what the script imports"]);
    fs::write(project.path("rpcplugin.lock"), "version = 9\n").unwrap();
    for args in [&["--check"][..], &["--list"]] {
        project
            .trust(args)
            .ended_with(2)
            .prints(&["rpcplugin::config::lock_file_invalid", "its version is 9"]);
    }
    project.locked("run", &[], &plugin).ended_with(2).prints(&["rpcplugin::config::lock_file_invalid"]);
}

#[test]
fn a_person_is_asked_on_a_terminal() {
    let Some(project) = Project::new() else { return };
    let file = project.path("rpcplugin.lock");
    let ask = |answer: &str| {
        let plugin = project.plugin();
        let args = ["trust", "--sandbox", "--lock-file", file.to_str().unwrap(), plugin.to_str().unwrap()];
        answering_on_a_terminal(answer, args)
    };
    let (code, shown) = ask("n\n");
    assert_eq!(code, Some(1), "{shown}");
    assert!(
        shown.contains("[y/N]") && shown.contains("nothing is recorded") && shown.contains("is confined"),
        "{shown}"
    );
    assert!(!file.exists());
    let (code, shown) = ask("yes\n");
    assert_eq!(code, Some(0), "{shown}");
    assert!(file.exists());
}
