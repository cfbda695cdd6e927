//! Real hosts, with a plugin in Rust or with a real plugin behind `rpcplugin tap`.

mod examples;
mod taps;
mod terraform;
mod tflint;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::process::{Ended, run};
use crate::workspace::Outcome;

/// A real host with a plugin.
pub(super) struct Scenario {
    /// The name for `--only`.
    pub(super) name: &'static str,
    /// What the page calls it.
    pub(super) title: &'static str,
    run: fn(&Place<'_>) -> Outcome<Vec<String>>,
}

/// All scenarios, in the order of the page.
pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "host-tofu-demo",
        title: "OpenTofu, with the demo provider in Rust",
        run: terraform::tofu_with_demo,
    },
    Scenario {
        name: "host-tofu-demo-tap",
        title: "OpenTofu, a tap, and the demo provider in Rust",
        run: terraform::tofu_with_tapped_demo,
    },
    Scenario {
        name: "host-terraform-demo-tap",
        title: "Terraform, a tap, and the demo provider in Rust",
        run: terraform::terraform_with_tapped_demo,
    },
    Scenario {
        name: "host-tofu-time-tap",
        title: "OpenTofu, a tap, and terraform-provider-time",
        run: terraform::tofu_with_tapped_time,
    },
    Scenario {
        name: "host-terraform-time-tap",
        title: "Terraform, a tap, and terraform-provider-time",
        run: terraform::terraform_with_tapped_time,
    },
    Scenario {
        name: "host-tofu-random-tap",
        title: "OpenTofu, a tap, and terraform-provider-random",
        run: terraform::tofu_with_tapped_random,
    },
    Scenario {
        name: "host-terraform-random-tap",
        title: "Terraform, a tap, and terraform-provider-random",
        run: terraform::terraform_with_tapped_random,
    },
    Scenario {
        name: "host-tflint-tap",
        title: "tflint, a tap, and tflint-ruleset-terraform",
        run: tflint::tapped,
    },
    Scenario {
        name: "host-kv-tap",
        title: "go-plugin's example `grpc`, v1.8.0: its host, a tap, and its plugin",
        run: examples::kv,
    },
    Scenario {
        name: "host-kv-1.0-tap",
        title: "go-plugin's example `grpc`: the host of v1.0.0, a tap, and the plugin of v1.8.0",
        run: examples::old_kv,
    },
    Scenario {
        name: "host-counter-tap",
        title: "go-plugin's example `bidirectional`, v1.8.0: its host, a tap, and its plugin, which calls the host back",
        run: examples::counter,
    },
];

/// The programs that scenarios start.
pub(super) struct Programs {
    pub(super) rpcplugin: PathBuf,
    /// The demo provider, in Rust.
    pub(super) demo: PathBuf,
    /// The directory of the programs that were built.
    pub(super) bin: PathBuf,
    /// Below it each scenario has a directory.
    pub(super) scratch: PathBuf,
}

impl Programs {
    /// Runs a scenario in a new directory. Returns what was seen.
    pub(super) fn run(&self, scenario: &Scenario) -> Outcome<Vec<String>> {
        let directory = self.scratch.join(scenario.name);
        if directory.exists() {
            fs::remove_dir_all(&directory)?;
        }
        fs::create_dir_all(&directory)?;
        (scenario.run)(&Place { programs: self, directory })
    }
}

/// The directory of a scenario.
struct Place<'a> {
    programs: &'a Programs,
    directory: PathBuf,
}

impl Place<'_> {
    /// A program that was built.
    fn built(&self, name: &str) -> Outcome<PathBuf> {
        let program = self.programs.bin.join(name);
        if program.exists() { Ok(program) } else { Err(format!("{name} is not built").into()) }
    }

    /// Puts a program into a directory of the scenario, where the host finds it, and installs a tap in front of it.
    fn tapped(&self, program: &Path, directory: &str, name: &str) -> Outcome<PathBuf> {
        let place = self.placed(program, directory, name)?;
        let mut install = Command::new(&self.programs.rpcplugin);
        install.args(["tap", "install", "--json", "--output"]).arg(self.trace()).arg(&place);
        self.succeed(&mut install, "install")?;
        Ok(place)
    }

    /// Puts a program into a directory of the scenario.
    fn placed(&self, program: &Path, directory: &str, name: &str) -> Outcome<PathBuf> {
        let place = self.directory.join(directory).join(name);
        fs::create_dir_all(self.directory.join(directory))?;
        fs::copy(program, &place)?;
        Ok(place)
    }

    /// The output of the taps.
    fn trace(&self) -> PathBuf {
        self.directory.join("tap.json")
    }

    /// Runs a command to its end. It must leave no process.
    fn run(&self, command: &mut Command, name: &str) -> Outcome<Ended> {
        run(command, name, &self.directory.join("logs"))
    }

    /// Runs a command, which must succeed, and returns its stdout.
    fn succeed(&self, command: &mut Command, name: &str) -> Outcome<String> {
        let ended = self.run(command, name)?;
        if ended.status == 0 {
            return Ok(ended.stdout);
        }
        Err(format!("{name}: exit code {}: {}", ended.status, ended.last_words()).into())
    }
}

/// Fails with this text if something was not seen.
fn must(is_so: bool, what: impl Into<String>) -> Outcome {
    if is_so { Ok(()) } else { Err(what.into().into()) }
}
