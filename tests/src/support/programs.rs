//! The programs that tests start: those of this crate, the examples of the facade, and the peers in other languages.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

/// A program of this crate. Cargo builds them with its tests.
#[must_use]
pub fn program(name: &str) -> PathBuf {
    // A test runs in `target/PROFILE/deps`.
    let test = env::current_exe().unwrap();
    let path = test.ancestors().nth(2).unwrap().join(file_name(name));
    assert!(path.exists(), "{} is not built", path.display());
    path
}

/// An example of the facade, built with the features of the tests if it is not there.
pub fn example(name: &str) -> PathBuf {
    let built = program("kit-plugin").with_file_name("examples").join(file_name(name));
    if !built.exists() {
        let target = built.ancestors().nth(3).unwrap();
        let mut build = Command::new(env!("CARGO"));
        build.args(["build", "--package", "rpcplugin", "--example", name, "--features", "otel"]);
        build.arg("--target-dir").arg(target);
        assert!(build.status().unwrap().success(), "the example {name} does not build");
    }
    built
}

/// A program in another language that `cargo xtask interop` builds: `go` and `kit-plugin`, for example.
///
/// `None` if it is not built, which is printed. The test fails instead if `RPCPLUGIN_REQUIRE` names the language.
/// `RPCPLUGIN_GO_KIT` names another directory for the programs in Go.
#[must_use]
#[expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "the switches of a test, and their effect"
)]
pub fn peer(language: &str, name: &str) -> Option<PathBuf> {
    let other = env::var_os("RPCPLUGIN_GO_KIT").filter(|_| language == "go");
    let directory = other.map_or_else(|| tests().join("../target/interop").join(language), PathBuf::from);
    let path = directory.join(file_name(name));
    if path.exists() {
        return Some(path);
    }
    let required = env::var("RPCPLUGIN_REQUIRE").unwrap_or_default();
    assert!(!required.contains(language), "{} is required and missing", path.display());
    println!("skipped: {} is missing; `cargo xtask interop` builds it", path.display());
    None
}

/// The Python of the peers, and one of their scripts. `None` as for [`peer`].
#[must_use]
pub fn python(script: &str) -> Option<[PathBuf; 2]> {
    Some([peer("python", "bin/python")?, tests().join("interop/python").join(script)])
}

/// The conformance plugin in another language, as a program and its arguments. `None` as for [`peer`].
#[must_use]
pub fn conformance_plugin(language: &str) -> Option<Vec<PathBuf>> {
    match language {
        "go" => peer("go", "kit-plugin").map(|program| vec![program]),
        _ => python("kit_plugin.py").map(Vec::from),
    }
}

/// The file of a program: `kit-plugin.exe` on Windows.
fn file_name(program: &str) -> String {
    format!("{program}{}", env::consts::EXE_SUFFIX)
}

fn tests() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
