//! Plugins whose host is killed, or ignores the exits of its children.

use std::{process::Stdio, time::Duration};

use rpcplugin_tests::support::{
    process_tree::{MARK, ProcessTree},
    wait::eventually,
};

use crate::support::PLUGIN;

/// Launches a plugin with this fate from a host, and kills the host.
async fn after_the_host_was_killed(fate: &str, tree: &ProcessTree) {
    let mut doomed = std::process::Command::new(env!("CARGO_BIN_EXE_doomed-host"));
    let mut doomed = doomed
        .args([fate, PLUGIN])
        .env(MARK, tree.name())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program is built");
    let mut line = String::new();
    let stdout = doomed.stdout.take().expect("a pipe");
    std::io::BufRead::read_line(&mut std::io::BufReader::new(stdout), &mut line).expect("readable");
    assert_eq!(line, "ready\n");
    // The variables of a process that is being started cannot be read for a moment.
    eventually("the host and its children", || tree.alive().len() >= 2).await;
    doomed.kill().expect("the plugin runs");
    doomed.wait().expect("a child of this process");
}

#[tokio::test]
async fn plugins_die_with_a_killed_host() {
    let tree = ProcessTree::new();
    after_the_host_was_killed("dies", &tree).await;
    tree.dies_out().await;
}

#[tokio::test]
async fn plugins_that_left_their_group_die_too() {
    let tree = ProcessTree::new();
    after_the_host_was_killed("leaves", &tree).await;
    tree.dies_out().await;
}

#[tokio::test]
async fn plugins_that_are_still_starting_die_too() {
    let tree = ProcessTree::new();
    after_the_host_was_killed("starts", &tree).await;
    tree.dies_out().await;
}

#[tokio::test]
async fn plugins_outlive_a_killed_host_if_they_are_allowed_to() {
    let tree = ProcessTree::new();
    after_the_host_was_killed("lives", &tree).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let left = tree.alive();
    assert!(left.len() >= 2, "they died: {left:?}");
    tree.kill();
    tree.dies_out().await;
}

/// A host that inherits an ignored SIGCHLD.
#[tokio::test]
async fn the_exit_is_known_where_sigchld_is_ignored() {
    let host = env!("CARGO_BIN_EXE_doomed-host");
    let output = std::process::Command::new("/bin/sh")
        .args(["-c", "trap '' CHLD; exec \"$0\" ends \"$1\"", host, PLUGIN])
        .stdin(Stdio::null())
        .output()
        .expect("the program is built");
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(stdout, "Clean\n", "{stderr}");
}
