//! The pairs of host and plugin that are measured, built as their users would build them for speed.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use super::figures::Figure;
use crate::interop;
use crate::toolchain::{Tool, first_line};
use crate::workspace::{self, Outcome, cargo, succeed};

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
    /// This library without a setting, beside itself with it.
    Itself,
}

/// The programs that were built.
#[derive(Debug)]
pub(super) struct Programs {
    /// This library's program that measures. It also pins any other program to cores.
    bench: PathBuf,
    pub(super) pairs: BTreeMap<Pair, Built>,
}

/// The programs of one pair.
#[derive(Debug)]
pub(super) struct Built {
    host: Vec<OsString>,
    pub(super) plugin: Vec<OsString>,
    /// The tools that they were built with.
    pub(super) toolchain: String,
}

/// Builds the programs of this library and of the pairs to compare with.
pub(super) fn prepare(against: &[Pair], directory: &Path) -> Outcome<Programs> {
    let target = directory.parent().ok_or("the target directory has no parent")?;
    let mut build = cargo(["build", "--release", "-p", "rpcplugin-tests", "--features", "raw-tonic"]);
    build.args(["--bin", "kit-bench", "--bin", "kit-plugin"]);
    let mut release = target.to_owned();
    if cfg!(all(target_os = "linux", target_env = "gnu")) {
        // The C library is linked statically, as Go links its programs: see `docs/performance.md`. With `--target` the
        // flags are for the programs and not for build scripts.
        let triple = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
        build.args(["--target", &triple]).env("RUSTFLAGS", "-C target-feature=+crt-static");
        release.push(triple);
    }
    let release = release.join("release");
    succeed(&mut build)?;
    let bench = release.join("kit-bench");
    let rustc = first_line(Command::new("rustc").arg("--version"))?;
    let rustc = format!("tonic {}, {rustc}", locked("tonic")?);
    let own = |host: &str, plugin: &[OsString]| Built {
        host: vec![bench.clone().into(), host.into()],
        plugin: plugin.to_vec(),
        toolchain: rustc.clone(),
    };
    let mut pairs = BTreeMap::from([(Pair::Rust, own("host", &[release.join("kit-plugin").into()]))]);
    for &pair in against {
        let built = match pair {
            Pair::Rust => continue,
            Pair::Itself => own("host", &[release.join("kit-plugin").into()]),
            Pair::Tonic => own("raw-host", &[bench.clone().into(), "raw-plugin".into()]),
            Pair::Go => go(&directory.join("go"))?,
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

fn go(programs: &Path) -> Outcome<Built> {
    let sources = workspace::root().join("tests/interop/go");
    let toolchain = Tool::Go.version()?;
    let mut build = Command::new("go");
    build.args(["build", "-trimpath", "-ldflags", "-s -w", "-o"]).arg(programs.join("")).arg("./cmd/...");
    succeed(build.current_dir(&sources))?;
    let mut library = Command::new("go");
    library.args(["list", "-m", "-f", "{{.Version}}", "github.com/hashicorp/go-plugin"]);
    let library = first_line(library.current_dir(sources))?;
    Ok(Built {
        host: vec![programs.join("kit-host").into(), "bench".into()],
        plugin: vec![programs.join("kit-plugin").into()],
        toolchain: format!("go-plugin {library}, {toolchain}"),
    })
}

impl Built {
    /// The words that start the host.
    pub(super) fn host(&self) -> &[OsString] {
        &self.host
    }
}

impl Programs {
    /// This library's programs in a directory.
    pub(super) fn of_directory(directory: &Path) -> Self {
        let bench = directory.join("kit-bench");
        let host = vec![bench.clone().into(), "host".into()];
        let plugin = vec![directory.join("kit-plugin").into()];
        let built = Built { host, plugin, toolchain: String::new() };
        Self { bench, pairs: BTreeMap::from([(Pair::Rust, built)]) }
    }

    /// The host and plugin of a pair, if it takes part in the figure. Beside tonic, this library's plugin has the same
    /// few calls as tonic's.
    pub(super) fn of(&self, pair: Pair, figure: &Figure) -> Option<(&[OsString], Vec<OsString>)> {
        let is_a_library = !matches!(pair, Pair::Tonic | Pair::Itself);
        let takes_part = pair == Pair::Rust || figure.beside.map_or(is_a_library, |beside| beside == pair);
        let built = self.pairs.get(&pair).filter(|_| takes_part)?;
        let plugin = match pair {
            Pair::Rust if figure.beside == Some(Pair::Tonic) => {
                vec![self.bench.clone().into(), "plugin".into()]
            }
            _ => built.plugin.clone(),
        };
        Some((&built.host, plugin))
    }

    /// The words that run a program on these cores only.
    pub(super) fn pin(&self, cores: &str) -> Vec<OsString> {
        vec![self.bench.clone().into(), "pin".into(), cores.into(), "--".into()]
    }
}

/// The version of a crate that the workspace is built with.
fn locked(name: &str) -> Outcome<String> {
    let lock = fs::read_to_string(workspace::root().join("Cargo.lock"))?;
    let start = format!("name = \"{name}\"\nversion = \"");
    let (_, rest) = lock.split_once(&start).ok_or_else(|| format!("Cargo.lock does not name {name}"))?;
    Ok(rest.split('"').next().unwrap_or_default().to_owned())
}

impl fmt::Display for Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rust => "rpcplugin",
            Self::Go => "go-plugin",
            Self::Python => "pyvider",
            Self::Tonic => "tonic",
            Self::Itself => "without",
        })
    }
}
