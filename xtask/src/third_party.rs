//! `cargo xtask third-party`: programs of other projects, built from the Go module proxy and from Debian, are driven with the program
//! `rpcplugin`, and real hosts are run with plugins behind a tap. `docs/works-with.md` has the results.

mod build;
mod drive;
mod entry;
mod hosts;
mod lists;
mod page;
mod process;
mod row;

use std::path::{Path, PathBuf};
use std::process::Command;

use entry::{Entry, Role};
use hosts::Scenario;
use row::{Row, Verdict};

use crate::toolchain::{Tool, first_line};
use crate::workspace::{Outcome, Workspace, cargo, settle, succeed};

/// Options of `cargo xtask third-party`.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct Options {
    /// Drive only the programs and scenarios whose name begins with one of these. The others keep their rows. The page is not
    /// written while one of them has none
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub(crate) only: Vec<String>,
    /// List the programs and scenarios, and build none
    #[arg(long)]
    pub(crate) list: bool,
}

/// The page that is written.
const PAGE: &str = "docs/works-with.md";

/// Builds and drives the programs, runs the scenarios, and writes the page.
pub(crate) fn run(options: &Options) -> Outcome {
    let is_wanted =
        |name: &str| options.only.is_empty() || options.only.iter().any(|start| name.starts_with(start));
    let entries =
        || lists::GROUPS.iter().flat_map(|group| group.entries).filter(|entry| is_wanted(entry.name));
    let scenarios = || hosts::SCENARIOS.iter().filter(|scenario| is_wanted(scenario.name));
    if options.list {
        entries().for_each(|entry| println!("{}", entry.name));
        scenarios().for_each(|scenario| println!("{}: {}", scenario.name, scenario.title));
        return Ok(());
    }
    Tool::Go.version()?;
    let run = Run::prepare()?;
    let mut wrong = Vec::new();
    for entry in entries() {
        let row = run.entry(entry);
        wrong.extend(row.is_wrong().then_some(entry.name));
        row.keep(&run.rows)?;
    }
    for scenario in scenarios() {
        let row = run.scenario(scenario);
        wrong.extend(row.is_wrong().then_some(scenario.name));
        row.keep(&run.rows)?;
    }
    match page::without_row(&run.rows).as_slice() {
        [] => _ = settle(PAGE, page::write(&run.rows).as_bytes(), false)?,
        missing => println!("{PAGE} was not written, because these have no row yet: {}", missing.join(", ")),
    }
    if wrong.is_empty() { Ok(()) } else { Err(format!("not as expected: {}", wrong.join(", ")).into()) }
}

/// What all programs of a run share.
struct Run {
    root: PathBuf,
    rows: PathBuf,
    day: String,
    programs: hosts::Programs,
}

impl Run {
    fn prepare() -> Outcome<Self> {
        let target = Workspace::load()?.target;
        let programs = ["-p", "rpcplugin-cli", "-p", "rpcplugin-tests"];
        let mut build = cargo(["build", "--quiet", "--bin", "rpcplugin", "--bin", "terraform-provider-demo"]);
        succeed(build.args(programs))?;
        let debug = target.join("debug");
        let root = target.join("third-party");
        let programs = hosts::Programs {
            rpcplugin: debug.join("rpcplugin"),
            demo: debug.join("terraform-provider-demo"),
            bin: root.join("bin"),
            scratch: root.join("scenarios"),
        };
        let day = first_line(Command::new("date").args(["-u", "+%F"]))?;
        Ok(Self { rows: root.join("rows"), root, day, programs })
    }

    fn entry(&self, entry: &Entry) -> Row {
        println!("   {}", entry.name);
        let row = match build::build(entry, &self.root) {
            Err(why) => Row::new(entry.name, &self.day, Verdict::NotBuilt(why)),
            Ok(built) => {
                let mut row = Row::new(entry.name, &self.day, Verdict::Host);
                row.version.clone_from(&built.version);
                row.go_plugin.clone_from(&built.go_plugin);
                if let Role::Plugin { options, schema, arguments, speaks } = &entry.role {
                    let rpcplugin: &Path = &self.programs.rpcplugin;
                    let plugin = drive::Plugin { rpcplugin, built: &built, options, schema, arguments };
                    if let Err(error) = plugin.drive(speaks, &mut row) {
                        row.verdict = Verdict::Fails(error.to_string());
                    }
                }
                row
            }
        };
        println!("      {}", page::verdict(&row));
        row
    }

    fn scenario(&self, scenario: &Scenario) -> Row {
        println!("   {}", scenario.name);
        let mut row = Row::new(scenario.name, &self.day, Verdict::Works);
        match self.programs.run(scenario) {
            Ok(seen) => row.called = seen,
            Err(error) => row.verdict = Verdict::Fails(error.to_string()),
        }
        println!("      {}", page::verdict(&row));
        row
    }
}
