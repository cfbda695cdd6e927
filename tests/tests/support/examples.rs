//! The examples of the facade, as programs to start.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// An example of the facade, which is built with all tests of the workspace, and here if it was not: with the feature
/// that the tests have.
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
pub(crate) fn example(name: &str) -> PathBuf {
    let built = Path::new(env!("CARGO_BIN_EXE_kit-plugin")).with_file_name("examples").join(name);
    if !built.exists() {
        let target = built.ancestors().nth(3).unwrap();
        let mut build = Command::new(env!("CARGO"));
        build.args(["build", "--package", "rpcplugin", "--example", name, "--features", "otel"]);
        build.arg("--target-dir").arg(target);
        assert!(build.status().unwrap().success(), "the example {name} does not build");
    }
    built
}
