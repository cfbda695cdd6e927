//! The pairs of host and plugin that are measured, built as their users would build them for speed.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use super::plan::Better;
use super::results::{Row, Spread};
use crate::interop;
use crate::toolchain::Tool;
use crate::workspace::{self, Outcome, cargo};

/// Host and plugin on the same library.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(super) enum Pair {
    /// This library.
    #[value(skip)]
    Rust,
    /// go-plugin.
    Go,
    /// pyvider-rpcplugin.
    Python,
    /// tonic without any library for plugins.
    Tonic,
}

/// Who measures a figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Contest {
    /// This library and those that do the same.
    Peers,
    /// This library and tonic, with nothing but a few calls.
    Tonic,
}

/// What was built, and how it is started.
#[derive(Debug)]
pub(super) struct Programs {
    /// The program that measures on our side, and that pins any of them to cores.
    bench: PathBuf,
    pub(super) pairs: BTreeMap<Pair, Built>,
}

/// The programs of one pair.
#[derive(Debug)]
pub(super) struct Built {
    pub(super) host: Vec<OsString>,
    pub(super) plugin: Vec<OsString>,
    /// What they were built with.
    pub(super) toolchain: String,
}

impl Contest {
    /// Whether a pair takes part.
    pub(super) fn has(self, pair: Pair) -> bool {
        match self {
            Self::Peers => pair != Pair::Tonic,
            Self::Tonic => matches!(pair, Pair::Rust | Pair::Tonic),
        }
    }
}

/// Builds this library's programs and those of the pairs to compare with.
pub(super) fn prepare(against: &[Pair], directory: &Path, no_build: bool) -> Outcome<Programs> {
    let target = directory.parent().ok_or("the target directory has no parent")?;
    let mut build = cargo(["build", "--release", "-p", "rpcplugin-tests", "--features", "raw-tonic"]);
    build.args(["--bin", "kit-bench", "--bin", "kit-plugin"]);
    let release = match static_triple() {
        Some(triple) => {
            // With `--target`, the flags are for the programs and not for what runs at compile time.
            build.args(["--target", &triple]).env("RUSTFLAGS", "-C target-feature=+crt-static");
            target.join(triple).join("release")
        }
        None => target.join("release"),
    };
    if !no_build {
        succeed(&mut build)?;
    }
    let bench = release.join("kit-bench");
    let words = |words: &[&str]| -> Vec<OsString> {
        [bench.clone().into()].into_iter().chain(words.iter().map(OsString::from)).collect()
    };
    let rustc = first_line(Command::new("rustc").arg("--version"))?;
    let rustc = format!("tonic {}, {rustc}", locked("tonic")?);
    let mut pairs = BTreeMap::new();
    let rust = Built {
        host: words(&["host"]),
        plugin: vec![release.join("kit-plugin").into()],
        toolchain: rustc.clone(),
    };
    pairs.insert(Pair::Rust, rust);
    for &pair in against {
        let built = match pair {
            Pair::Rust => continue,
            Pair::Tonic => {
                Built { host: words(&["raw-host"]), plugin: words(&["raw-plugin"]), toolchain: rustc.clone() }
            }
            Pair::Go => go(&directory.join("go"), no_build)?,
            Pair::Python => {
                let (mut host, plugin, toolchain) = interop::python_programs(directory)?;
                host.push("bench".into());
                Built { host, plugin, toolchain }
            }
        };
        pairs.insert(pair, built);
    }
    Ok(Programs { bench, pairs })
}

/// The target whose C library can be linked statically, as Go's programs are linked: see `docs/performance.md`.
fn static_triple() -> Option<String> {
    cfg!(all(target_os = "linux", target_env = "gnu"))
        .then(|| format!("{}-unknown-linux-gnu", std::env::consts::ARCH))
}

fn go(programs: &Path, no_build: bool) -> Outcome<Built> {
    let toolchain = Tool::Go.version()?;
    if !no_build {
        let mut build = Command::new("go");
        build.args(["build", "-trimpath", "-ldflags", "-s -w", "-o"]).arg(programs.join("")).arg("./cmd/...");
        succeed(build.current_dir(workspace::root().join("tests/interop/go")))?;
    }
    let program = |name: &str| OsString::from(programs.join(name));
    let mut library = Command::new("go");
    library.args(["list", "-m", "-f", "{{.Version}}", "github.com/hashicorp/go-plugin"]);
    let library = first_line(library.current_dir(workspace::root().join("tests/interop/go")))?;
    let toolchain = format!("go-plugin {library}, {toolchain}");
    Ok(Built {
        host: vec![program("kit-host"), "bench".into()],
        plugin: vec![program("kit-plugin")],
        toolchain,
    })
}

impl Programs {
    /// The host and plugin for a contest: beside tonic, our plugin has the same few calls.
    pub(super) fn of(&self, pair: Pair, contest: Contest) -> Option<(&[OsString], Vec<OsString>)> {
        let built = self.pairs.get(&pair).filter(|_| contest.has(pair))?;
        let plugin = match (pair, contest) {
            (Pair::Rust, Contest::Tonic) => vec![self.bench.clone().into(), "plugin".into()],
            _ => built.plugin.clone(),
        };
        Some((&built.host, plugin))
    }

    /// The words that run what follows on these cores only.
    pub(super) fn pin(&self, cores: &str) -> Vec<OsString> {
        vec![self.bench.clone().into(), "pin".into(), cores.into(), "--".into()]
    }

    /// How large the plugins are, as far as they are one file.
    pub(super) fn sizes(&self) -> Option<Row> {
        let size = |built: &Built| {
            let [program] = built.plugin.as_slice() else { return None };
            Some(Spread::of(&[fs::metadata(program).ok()?.len() as f64 / 1e6]))
        };
        let sizes: BTreeMap<_, _> =
            self.pairs.iter().filter_map(|(pair, built)| Some((*pair, size(built)?))).collect();
        let ours = sizes.get(&Pair::Rust)?.median;
        let ratios = sizes.iter().filter(|(pair, _)| **pair != Pair::Rust);
        let ratios = ratios.map(|(pair, theirs)| (*pair, Spread::of(&[ours / theirs.median]))).collect();
        Some(Row {
            figure: "size".to_owned(),
            what: "program of the plugin".to_owned(),
            unit: "MB".to_owned(),
            better: Better::Lower,
            target: None,
            headline: false,
            pairs: sizes,
            ratios,
            failures: Vec::new(),
        })
    }
}

/// Runs a command to its end, with what it prints shown as it comes.
fn succeed(command: &mut Command) -> Outcome {
    let arguments: Vec<_> = command.get_args().map(|argument| argument.display().to_string()).collect();
    let shown = format!("{} {}", command.get_program().display(), arguments.join(" "));
    println!("{shown}");
    let status = command.status()?;
    if status.success() { Ok(()) } else { Err(format!("`{shown}` ended with {status}").into()) }
}

/// The version of a crate that the workspace is built with.
fn locked(name: &str) -> Outcome<String> {
    let lock = fs::read_to_string(workspace::root().join("Cargo.lock"))?;
    let start = format!("name = \"{name}\"\nversion = \"");
    let (_, rest) = lock.split_once(&start).ok_or_else(|| format!("Cargo.lock does not name {name}"))?;
    Ok(rest.split('"').next().unwrap_or_default().to_owned())
}

fn first_line(command: &mut Command) -> Outcome<String> {
    let output = command.output()?.stdout;
    Ok(String::from_utf8_lossy(&output).lines().next().unwrap_or_default().to_owned())
}

impl fmt::Display for Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rust => "rpcplugin",
            Self::Go => "go-plugin",
            Self::Python => "pyvider",
            Self::Tonic => "tonic",
        })
    }
}
