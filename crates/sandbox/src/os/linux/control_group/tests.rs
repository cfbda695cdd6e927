//! Groups in a prepared directory, and in the kernel where this process may make groups.

use std::process::{Command, Stdio};

use super::*;

#[test]
fn limits_become_settings() {
    assert_eq!(settings(&Limits::new().memory(1).processes(1)), [], "those of each process need no group");
    let all = settings(&Limits::new().total_memory(64 << 20).total_processes(9));
    let all: Vec<_> =
        all.iter().map(|setting| (setting.controller, setting.file, setting.value.as_str())).collect();
    let expected = [
        ("memory", "memory.max", "67108864"),
        ("memory", "memory.swap.max", "0"),
        ("memory", "memory.oom.group", "1"),
        ("pids", "pids.max", "9"),
    ];
    assert_eq!(all, expected);
}

#[test]
fn a_kill_for_want_of_memory_is_counted() {
    let dir = tempfile::tempdir().expect("a directory");
    let group = ControlGroup { dir: dir.path().to_owned(), stays: true };
    assert!(!group.ran_out_of_memory(), "no counters");
    for (events, ran_out) in [
        ("low 0\nhigh 0\nmax 7\noom 1\noom_kill 0\noom_group_kill 0\n", false),
        ("low 0\nhigh 0\nmax 7\noom 1\noom_kill 2\noom_group_kill 1\n", true),
    ] {
        fs::write(dir.path().join("memory.events"), events).expect("written");
        assert_eq!(group.ran_out_of_memory(), ran_out, "{events}");
    }
}

#[test]
fn a_sandbox_without_limits_of_the_whole_needs_no_group() {
    assert!(matches!(ControlGroup::of(&Sandbox::new()), Ok(None)));
    let nowhere = Sandbox::new().limits(Limits::new().total_processes(4)).control_group("/no/such/group");
    assert!(ControlGroup::of(&nowhere).expect_err("no group").contains("/no/such/group/cgroup.controllers"));
}

/// A group of the kernel in which this process may make others. `None` is printed.
fn writable_group() -> Option<PathBuf> {
    // Without controllers, every delegated group does.
    let found = place::find(None, &[]).and_then(|parent| {
        ControlGroup::create(&parent, &[]).map(drop)?;
        Ok(parent)
    });
    found.inspect_err(|why| println!("skipped: {why}")).ok()
}

#[test]
fn a_group_ends_with_all_processes_that_the_plugin_has_started() {
    let Some(parent) = writable_group() else { return };
    let group = ControlGroup::create(&parent, &[]).expect("made");
    let dir = group.dir.clone();
    let mut plugin = Command::new("/bin/sh")
        .args(["-c", "read go; setsid sleep 600 & setsid sleep 600 & wait"])
        .stdin(Stdio::piped())
        .spawn()
        .expect("it starts");
    group.add(plugin.id()).expect("moved");
    drop(plugin.stdin.take());
    let processes = || fs::read_to_string(dir.join("cgroup.procs")).unwrap_or_default();
    let deadline = Instant::now() + Duration::from_secs(10);
    while processes().lines().count() < 3 {
        assert!(Instant::now() < deadline, "{}", processes());
        thread::sleep(Duration::from_millis(1));
    }
    drop(group);
    assert!(!dir.exists(), "{}", processes());
    let status = plugin.wait().expect("it has ended");
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(9));
}

#[test]
fn a_group_that_is_left_keeps_its_processes() {
    let Some(parent) = writable_group() else { return };
    let group = ControlGroup::create(&parent, &[]).expect("made");
    let dir = group.dir.clone();
    let mut plugin = Command::new("/bin/cat").stdin(Stdio::piped()).spawn().expect("it starts");
    group.add(plugin.id()).expect("moved");
    group.leave();
    assert_eq!(fs::read_to_string(dir.join("cgroup.procs")).expect("a group"), format!("{}\n", plugin.id()));
    drop(plugin.stdin.take());
    assert!(plugin.wait().expect("it ends").success());
    drop(ControlGroup { dir: dir.clone(), stays: false });
    assert!(!dir.exists());
}

#[test]
fn a_limit_of_the_kernel_holds_for_the_group() {
    let limits = Limits::new().total_processes(3);
    let group = match ControlGroup::of(&Sandbox::new().limits(limits)) {
        Ok(group) => group.expect("it has a limit"),
        Err(why) => return println!("skipped: {why}"),
    };
    let script = "read go; sleep 600 & sleep 600 & sleep 600 & sleep 600 & wait";
    let mut plugin =
        Command::new("/bin/sh").args(["-c", script]).stdin(Stdio::piped()).spawn().expect("it starts");
    group.add(plugin.id()).expect("moved");
    drop(plugin.stdin.take());
    // The shell ends with an error when it cannot start the third of them.
    assert!(!plugin.wait().expect("it ends").success());
}
