//! Passes to the program where it is built from. `rpcplugin new` makes projects that depend on the same sources.
//!
//! - A checkout of the repository: its directory, in `RPCPLUGIN_CHECKOUT`.
//! - A checkout that belongs to Cargo (`cargo install --git`): its commit, in `RPCPLUGIN_REVISION`. Cargo may remove the directory.
//! - A package without a repository around it: nothing, and the program's version counts.
//!
//! With the variable `RPCPLUGIN_RELEASE` nothing is passed in any case: a program for other machines must not name a directory of
//! the machine that built it.
#![expect(clippy::disallowed_methods, reason = "Cargo passes its values to build scripts in the environment")]

use std::{
    env, fs,
    path::{Path, PathBuf},
};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed={RELEASE}");
    let is_release = env::var_os(RELEASE).is_some_and(|value| !value.is_empty());
    let Some(root) = checkout().filter(|_| !is_release) else { return };
    if root.join(CARGOS_MARK).is_file() {
        if let Some(revision) = revision(&root) {
            println!("cargo::rustc-env=RPCPLUGIN_REVISION={revision}");
        }
    } else if let Some(root) = root.to_str() {
        println!("cargo::rustc-env=RPCPLUGIN_CHECKOUT={root}");
    }
}

/// Set for a release, whose programs run on other machines.
const RELEASE: &str = "RPCPLUGIN_RELEASE";

/// A file in checkouts that belong to Cargo.
const CARGOS_MARK: &str = ".cargo-ok";

/// Returns the directory of the repository, if this package is in one.
fn checkout() -> Option<PathBuf> {
    let package = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR")?);
    let root = package.parent()?.parent()?;
    let is_checkout = root.join(".git").exists() && root.join("crates/rpcplugin/Cargo.toml").is_file();
    is_checkout.then(|| root.to_owned())
}

/// Returns the commit that is checked out.
fn revision(root: &Path) -> Option<String> {
    let git = root.join(".git");
    let head = fs::read_to_string(git.join("HEAD")).ok()?;
    let commit = match head.trim().strip_prefix("ref: ") {
        Some(branch) => fs::read_to_string(git.join(branch)).ok()?,
        None => head,
    };
    let commit = commit.trim();
    let is_hash = commit.len() >= 40 && commit.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hash.then(|| commit.to_owned())
}
