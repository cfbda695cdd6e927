//! `cargo xtask soak`: a host that drives plugins in three languages for minutes or hours, with faults.
//!
//! The host is `kit-soak` of `tests`, which checks what must hold. This command builds it with the plugins, starts it, and
//! draws the curves of what it used. With `--write` the curves and the figures go to `docs/testing.md`.

mod chart;
mod figures;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use self::figures::Summary;
use crate::workspace::{self, Outcome, Workspace, cargo, succeed};
use crate::{interop, markdown};

/// Options of `cargo xtask soak`.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// How long the host runs
    #[arg(long, value_name = "N", default_value_t = 0.0)]
    hours: f64,
    /// The same in minutes, added to the hours
    #[arg(long, value_name = "N", default_value_t = 0.0)]
    minutes: f64,
    /// The seed of all plans; without it, a new one, which is printed
    #[arg(long)]
    seed: Option<u64>,
    /// Live one life alone, once, as a message of an earlier run with this seed names it
    #[arg(long, value_name = "SLOT/NUMBER", requires = "seed")]
    life: Option<String>,
    /// Set the clock of the machine too, by three hours, for some calls at a time. All programs of the machine see that
    #[arg(long)]
    change_clock: bool,
    /// Take the programs of this directory, and build nothing
    #[arg(long, value_name = "DIRECTORY")]
    built: Option<PathBuf>,
    /// Put the curves and the figures into docs
    #[arg(long)]
    write: bool,
}

/// Builds the programs, runs the host, and draws its curves.
pub(crate) fn run(options: &Options) -> Outcome {
    let seconds = (options.hours * 3600.0 + options.minutes * 60.0) as u64;
    if seconds == 0 && options.life.is_none() {
        return Err("how long? For example --hours 2, or --minutes 5".into());
    }
    let target = Workspace::load()?.target;
    let programs = match &options.built {
        Some(directory) => directory.clone(),
        None => {
            succeed(&mut cargo(BUILD.split(' ')))?;
            target.join("debug")
        }
    };
    let peers = target.join("interop");
    if !peers.join("go/kit-plugin").exists() || !peers.join("python/bin/python").exists() {
        interop::run(&interop::Options { build: true, ..interop::Options::default() })?;
    }
    let seed = match options.seed {
        Some(seed) => seed,
        None => SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs(),
    };
    println!("seed {seed}");
    let out = target.join("soak");
    let mut soak = Command::new(programs.join("kit-soak"));
    soak.args(["--seconds", &seconds.to_string(), "--seed", &seed.to_string()]);
    soak.arg("--rust")
        .arg(programs.join("kit-plugin"))
        .arg("--mortal-host")
        .arg(programs.join("mortal-host"));
    soak.arg("--go").arg(peers.join("go/kit-plugin"));
    let script = workspace::root().join("tests/interop/python/kit_plugin.py");
    soak.arg("--python").arg(peers.join("python/bin/python")).arg(script).arg("--out").arg(&out);
    soak.args(options.life.iter().flat_map(|life| ["--life", life]));
    soak.args(options.change_clock.then_some("--change-clock"));
    let held = succeed(&mut soak);
    if options.life.is_none() {
        // A run in which something did not hold has curves too.
        papers(&out, options.write && held.is_ok())
            .map_err(|error| format!("{held:?}; no curves: {error}"))?;
    }
    Ok(held?)
}

const BUILD: &str =
    "build --quiet --package rpcplugin-tests --bin kit-soak --bin kit-plugin --bin mortal-host";

/// Draws the curves, and prints the figures.
fn papers(out: &Path, write: bool) -> Outcome {
    let summary = Summary::read(&out.join("summary.json"))?;
    let svg = chart::draw(&summary, &figures::samples(&out.join("samples.jsonl"))?);
    let text = summary.markdown();
    println!("{text}");
    if !write {
        fs::write(out.join("soak.svg"), svg)?;
        println!("curves: {}", out.join("soak.svg").display());
        return Ok(());
    }
    workspace::settle(PICTURE, svg.as_bytes(), false)?;
    let page = fs::read_to_string(workspace::root().join(PAGE))?;
    let page =
        markdown::between(&page, BEGIN, END, &text).ok_or("docs/testing.md has no place for the figures")?;
    workspace::settle(PAGE, page.as_bytes(), false).map(drop)
}

const PICTURE: &str = "docs/images/soak.svg";
const PAGE: &str = "docs/testing.md";
const BEGIN: &str = "<!-- soak: written by `cargo xtask soak --write` -->\n";
const END: &str = "<!-- /soak -->";
