//! `cargo xtask api`: the public API of each library, one file for each in `docs/api`.
//!
//! The listings come from the library behind `cargo public-api`, which reads rustdoc's JSON. Only a nightly compiler
//! writes this JSON, and each release of the library reads one version of the format.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::Path;

use crate::toolchain;
use crate::workspace::{self, Crate, Outcome, Workspace};

/// Options of `cargo xtask api`.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Change nothing; fail if a listing differs from the code
    #[arg(long)]
    pub(crate) check: bool,
}

const DIRECTORY: &str = "docs/api";

/// Features that are off by default and have a public API.
const FEATURES: &str = "rpcplugin/config-file,rpcplugin/docker,rpcplugin/otel,rpcplugin/rate-limit,\
                        rpcplugin/testing,rpcplugin/tonic-channel";

/// Flags by which rustdoc writes JSON.
const AS_JSON: &str = "-Zunstable-options --output-format=json --cap-lints=allow";

/// Traits that every type has or lacks for reasons that users do not feel.
const LEFT_OUT: &[&str] =
    &["Freeze", "RefUnwindSafe", "UnwindSafe", "Unpin", "StructuralPartialEq", "UnsafeUnpin"];

/// Writes the listings, or checks them.
pub(crate) fn run(options: &Options) -> Outcome {
    let root = workspace::root();
    let workspace = Workspace::load()?;
    let libraries: Vec<&Crate> = workspace.published().filter(|one| one.is_library()).collect();
    let json = document(&libraries, &workspace.target.join("api"))?;
    fs::create_dir_all(root.join(DIRECTORY))?;
    let mut faults = Vec::new();
    let mut known = BTreeSet::new();
    for library in libraries {
        let name = format!("{DIRECTORY}/{}.txt", library.name);
        let text = listing(&library.name, &json.join(format!("{}.json", library.name.replace('-', "_"))))?;
        let listed = fs::read_to_string(root.join(&name)).unwrap_or_default();
        if !workspace::settle(&name, text.as_bytes(), options.check)? {
            let lines = |text: &str| text.lines().map(str::to_owned).collect::<BTreeSet<_>>();
            let (old, new) = (lines(&listed), lines(&text));
            old.difference(&new).for_each(|line| println!("      - {line}"));
            new.difference(&old).for_each(|line| println!("      + {line}"));
            faults.push(name.clone());
        }
        known.insert(name);
    }
    for entry in fs::read_dir(root.join(DIRECTORY))? {
        let name = format!("{DIRECTORY}/{}", entry?.file_name().display());
        if !known.contains(&name) {
            println!("BAD   {name}: there is no such library");
            faults.push(name);
        }
    }
    if faults.is_empty() {
        return Ok(());
    }
    Err("the public API is not as listed; if that is meant, run `cargo xtask api` and see CONTRIBUTING.md"
        .into())
}

/// Why the API cannot be listed here: there is no nightly compiler, or its JSON has another format.
pub(crate) fn obstacle() -> Result<(), String> {
    let directory = tempfile::tempdir().map_err(|error| error.to_string())?;
    fs::write(directory.path().join("probe.rs"), "").map_err(|error| error.to_string())?;
    let mut rustdoc = toolchain::rustup("nightly", "rustdoc");
    rustdoc.args(AS_JSON.split(' ')).args(["probe.rs", "--out-dir", "."]).current_dir(directory.path());
    toolchain::first_line(&mut rustdoc).map_err(|why| format!("no nightly rustdoc ({why})"))?;
    listing("probe", &directory.path().join("probe.json")).map(drop).map_err(|error| error.to_string())
}

/// Has rustdoc write the JSON of all these libraries, and returns the directory that has it.
fn document(libraries: &[&Crate], target: &Path) -> Outcome<std::path::PathBuf> {
    let mut command = toolchain::rustup("nightly", "cargo");
    command
        .args(["doc", "--quiet", "--no-deps", "--lib", "--features", FEATURES, "--target-dir"])
        .arg(target);
    for library in libraries {
        command.args(["--package", &library.name]);
    }
    let status = command.env("RUSTDOCFLAGS", AS_JSON).status()?;
    if status.success() {
        Ok(target.join("doc"))
    } else {
        Err("rustdoc cannot document the libraries".into())
    }
}

/// The listing of a library: a line for each item. Methods that a trait has already are left out.
fn listing(library: &str, json: &Path) -> Outcome<String> {
    let api =
        public_api::Builder::from_rustdoc_json(json).omit_blanket_impls(true).build().map_err(|error| {
            format!("the JSON of the nightly rustdoc cannot be read: {error}; see public-api in Cargo.toml")
        })?;
    let texts: HashMap<_, _> = api.items().map(|item| (item.id(), item.to_string())).collect();
    let is_of_trait = |text: &str| text.starts_with("impl") && text.contains(" for ");
    let is_left_out = |text: &str| {
        is_of_trait(text) && LEFT_OUT.iter().any(|name| text.contains(&format!("::{name} for ")))
    };
    let mut lines = vec![format!("// The public API of {library}, written by `cargo xtask api`.\n")];
    for item in api.items() {
        let text = item.to_string();
        let parent = item.parent_id().and_then(|id| texts.get(&id));
        let repeats = parent.is_some_and(|parent| is_of_trait(parent)) && !text.starts_with("pub type");
        if !repeats && !is_left_out(&text) {
            lines.push(text);
        }
    }
    Ok(lines.join("\n") + "\n")
}
