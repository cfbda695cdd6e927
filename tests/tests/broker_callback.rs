//! The example `callback`, as a user would start it.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

#[test]
fn the_example_tells_its_story() {
    let output = Command::new(example("callback")).stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let all = format!("{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{all}");
    let lines: Vec<_> = said.lines().collect();
    let [offered, first, second, stopped] = lines[..] else { panic!("{all}") };
    assert_eq!(offered, "callback may use the dictionary");
    assert_eq!(first, "bonjour le monde = hello the world");
    assert_eq!(second, "bonjour les amis = hello the [amis]");
    assert_eq!(stopped, "the plugin ended cleanly");
}

/// An example of the facade, which is built with all tests of the workspace, and here if it was not.
fn example(name: &str) -> PathBuf {
    let built = Path::new(env!("CARGO_BIN_EXE_kit-plugin")).with_file_name("examples").join(name);
    if !built.exists() {
        let target = built.ancestors().nth(3).unwrap();
        let mut build = Command::new(env!("CARGO"));
        build.args(["build", "--package", "rpcplugin", "--example", name, "--target-dir"]).arg(target);
        assert!(build.status().unwrap().success(), "the example {name} does not build");
    }
    built
}
