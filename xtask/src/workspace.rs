//! Where the workspace is, which crates it has, and how a command calls cargo.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::Deserialize;
use serde_json::Value;

/// The result of a command or a step.
pub(crate) type Outcome<T = ()> = Result<T, Box<dyn Error>>;

/// Tests of the program with its runners, which are off by default, also in a build of the workspace. The whole workspace selects all other
/// features, as in every other step: nothing but the program is compiled a second time.
pub(crate) const RUNNERS: &str =
    "test --workspace --quiet --features rpcplugin-cli/docker,rpcplugin-cli/kube";

/// The directory that holds the workspace's `Cargo.toml`.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask is a directory of the workspace").to_owned()
}

/// The crates of the workspace, as `cargo metadata` lists them.
#[derive(Deserialize)]
pub(crate) struct Workspace {
    /// All members.
    #[serde(rename = "packages")]
    pub(crate) crates: Vec<Crate>,
    /// Where cargo builds, which is not always `target`.
    #[serde(rename = "target_directory")]
    pub(crate) target: PathBuf,
}

/// One member of the workspace.
#[derive(Deserialize)]
pub(crate) struct Crate {
    pub(crate) name: String,
    #[serde(rename = "manifest_path")]
    pub(crate) manifest: PathBuf,
    pub(crate) dependencies: Vec<Dependency>,
    targets: Vec<Target>,
    /// The registries that may have it: `None` is any registry, and an empty list is `publish = false`.
    publish: Option<Vec<String>>,
    /// All other fields.
    #[serde(flatten)]
    pub(crate) fields: Value,
}

/// A dependency in a crate's manifest.
#[derive(Deserialize)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    /// `dev`, `build`, or nothing.
    pub(crate) kind: Option<String>,
}

#[derive(Deserialize)]
struct Target {
    kind: Vec<String>,
    src_path: PathBuf,
}

impl Workspace {
    /// Reads the output of `cargo metadata`.
    pub(crate) fn load() -> Outcome<Self> {
        let mut command = cargo(["metadata", "--no-deps", "--format-version", "1"]);
        let output = command.stderr(Stdio::inherit()).output()?;
        if !output.status.success() {
            return Err("`cargo metadata` failed".into());
        }
        Ok(serde_json::from_slice(&output.stdout)?)
    }

    /// The crates that can be published. The others are tools and tests.
    pub(crate) fn published(&self) -> impl Iterator<Item = &Crate> {
        self.crates.iter().filter(|one| one.publish.as_ref().is_none_or(|registries| !registries.is_empty()))
    }
}

impl Crate {
    /// A field of the manifest that is a text, or nothing.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.fields[name].as_str().unwrap_or_default()
    }

    /// Whether other crates can depend on it.
    pub(crate) fn is_library(&self) -> bool {
        self.targets.iter().any(|target| target.kind == ["lib"])
    }

    /// `src/lib.rs`, or `src/main.rs` of a program.
    pub(crate) fn front_page(&self) -> &Path {
        let of_kind = |kind: &str| self.targets.iter().find(|target| target.kind == [kind]);
        of_kind("lib").or_else(|| of_kind("bin")).map_or_else(|| Path::new(""), |target| &target.src_path)
    }
}

/// A cargo command in the workspace, as it would run without xtask around it.
pub(crate) fn cargo<'a>(arguments: impl IntoIterator<Item = &'a str>) -> Command {
    let mut command = Command::new("cargo");
    command.args(arguments).current_dir(root());
    forget_cargo(&mut command);
    command
}

/// Removes the variables by which `cargo run` describes xtask to its children. Build scripts that watch them would build
/// their crates again after each change from `cargo` to `cargo xtask` and back.
pub(crate) fn forget_cargo(command: &mut Command) {
    let set_by_cargo = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_CRATE_NAME", "CARGO_BIN_NAME"];
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| set_by_cargo.iter().any(|prefix| name.starts_with(prefix))) {
            command.env_remove(name);
        }
    }
}

/// Writes a generated file, or with `check` only compares it. Returns whether the file has this content now.
pub(crate) fn settle(path: &str, content: &[u8], check: bool) -> Outcome<bool> {
    let file = root().join(path);
    let is_same = fs::read(&file).is_ok_and(|current| current == content);
    let word = match (is_same, check) {
        (true, _) => "ok    ",
        (false, true) => "BAD   ",
        (false, false) => {
            fs::write(&file, content)?;
            "wrote "
        }
    };
    println!("{word}{path}");
    Ok(is_same || !check)
}

/// Runs a command to its end. It prints to the terminal.
pub(crate) fn succeed(command: &mut Command) -> Result<(), String> {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let shown = words.map(|word| word.display().to_string()).collect::<Vec<_>>().join(" ");
    println!("   {shown}");
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("`{shown}` ended with {status}")),
        Err(error) => Err(format!("`{shown}` cannot be started: {error}")),
    }
}
