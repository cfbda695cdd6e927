//! Where the workspace is, which crates it has, and how a command calls cargo.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

/// What every command and step ends with.
pub(crate) type Outcome<T = ()> = Result<T, Box<dyn Error>>;

/// The directory that holds the workspace's `Cargo.toml`.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask is a directory of the workspace").to_owned()
}

/// The crates of the workspace, as `cargo metadata` tells them.
pub(crate) struct Workspace {
    /// All members.
    pub(crate) crates: Vec<Crate>,
    /// Where cargo builds, which is not always `target`.
    pub(crate) target: PathBuf,
}

/// One member of the workspace.
pub(crate) struct Crate {
    pub(crate) name: String,
    pub(crate) description: Option<String>,
    /// Its `Cargo.toml`.
    pub(crate) manifest: PathBuf,
    /// `src/lib.rs`, or `src/main.rs` of a program.
    pub(crate) front_page: PathBuf,
    /// Whether it can be published; the others are tools and tests.
    pub(crate) published: bool,
    pub(crate) dependencies: Vec<Dependency>,
    /// All that cargo says of it.
    package: Value,
}

/// One line of a crate's dependency tables.
pub(crate) struct Dependency {
    pub(crate) name: String,
    /// Only for tests, examples and benches.
    pub(crate) dev: bool,
}

impl Workspace {
    /// Asks cargo.
    pub(crate) fn load() -> Outcome<Self> {
        let output = cargo(["metadata", "--no-deps", "--format-version", "1"])
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .output()
            .map_err(|error| format!("cargo cannot be started: {error}"))?;
        if !output.status.success() {
            return Err("`cargo metadata` failed".into());
        }
        let metadata: Value = serde_json::from_slice(&output.stdout)?;
        let crates = metadata["packages"].as_array().into_iter().flatten().map(Crate::read).collect();
        Ok(Self { crates, target: text(&metadata["target_directory"]).into() })
    }
}

impl Crate {
    fn read(package: &Value) -> Self {
        let targets = || package["targets"].as_array().into_iter().flatten();
        let library = targets().find(|target| target["kind"][0] == "lib");
        let program = targets().find(|target| target["kind"][0] == "bin");
        let front_page = library.or(program).map(|target| text(&target["src_path"])).unwrap_or_default();
        Self {
            name: text(&package["name"]),
            description: package["description"].as_str().map(str::to_owned),
            manifest: text(&package["manifest_path"]).into(),
            front_page: front_page.into(),
            // `null` stands for every registry, a list for those; an empty list is `publish = false`.
            published: package["publish"].as_array().is_none_or(|registries| !registries.is_empty()),
            dependencies: package["dependencies"]
                .as_array()
                .into_iter()
                .flatten()
                .map(Dependency::read)
                .collect(),
            package: package.clone(),
        }
    }
}

impl Crate {
    /// What cargo says under this name.
    pub(crate) fn metadata(&self, name: &str) -> &Value {
        &self.package[name]
    }

    /// The same, if it is a text.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        self.metadata(name).as_str().map(str::to_owned)
    }

    /// The same, if it is a list of texts.
    pub(crate) fn words(&self, name: &str) -> Vec<String> {
        self.metadata(name).as_array().into_iter().flatten().map(text).collect()
    }

    /// Whether others can depend on it.
    pub(crate) fn is_library(&self) -> bool {
        self.front_page.ends_with("src/lib.rs")
    }
}

impl Dependency {
    fn read(dependency: &Value) -> Self {
        Self { name: text(&dependency["name"]), dev: dependency["kind"] == "dev" }
    }
}

/// A cargo command in the workspace, as it would run without xtask around it.
pub(crate) fn cargo<'a>(arguments: impl IntoIterator<Item = &'a str>) -> Command {
    let mut command = Command::new("cargo");
    command.args(arguments).current_dir(root());
    // `cargo run` describes xtask to its child in these. Build scripts that watch them would take the difference
    // for a change and build their crates anew, each time one goes from `cargo` to `cargo xtask` or back.
    for (name, _) in std::env::vars_os() {
        let told_by_cargo = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_CRATE_NAME", "CARGO_BIN_NAME"];
        if name.to_str().is_some_and(|name| told_by_cargo.iter().any(|prefix| name.starts_with(prefix))) {
            command.env_remove(name);
        }
    }
    command
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
