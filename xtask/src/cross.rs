//! `cargo xtask cross`: compiles the workspace for macOS and for Windows, and runs the Windows programs under Wine.
//!
//! Debian's compiler is used, because its package `rust-web-src` has the source of the standard library, from which cargo
//! builds the library for any system. Code in C is compiled by mingw for Windows and by zig, which has the headers, for
//! macOS. Nothing can be run on macOS here.

mod tools;
mod wine;

use std::process::Command;

pub(crate) use self::tools::obstacle;
use self::wine::Wine;
use crate::workspace::{self, Outcome, cargo, succeed};

/// Options of `cargo xtask cross`.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct Options {
    /// Compile the library, and for Windows the program, and run nothing
    #[arg(long)]
    pub(crate) check: bool,
    /// Compile everything for both systems, and for macOS on x86-64 too
    #[arg(long, conflicts_with = "check")]
    pub(crate) full: bool,
}

const MACOS: [&str; 2] = ["aarch64-apple-darwin", "x86_64-apple-darwin"];
const WINDOWS: &str = "x86_64-pc-windows-gnu";

/// Everything that can be compiled, and what users compile. The program adds little to the library on macOS.
const ALL: &str = "check --workspace --all-targets";
const LIBRARY: &str = "check -p rpcplugin";
const USED: &str = "check -p rpcplugin -p rpcplugin-cli";

/// What runs under Wine. Each line selects the same packages, and a test, so that nothing is compiled with other features.
const PACKAGES: &str = "-p rpcplugin -p rpcplugin-client -p rpcplugin-server -p rpcplugin-tests";
const PROGRAMS: &str = "build --bins --example quickstart --test portable";

/// The tests that run on every system, and those of the code that only Windows has.
const TESTS: [&str; 2] = ["test --no-fail-fast --test portable", "test --no-fail-fast --lib os::windows"];

/// Compiles for each system, and runs what can run.
pub(crate) fn run(options: &Options) -> Outcome {
    obstacle(options.check)?;
    let tools = tools::prepare()?;
    for target in &MACOS[..if options.full { 2 } else { 1 }] {
        succeed(&mut for_target(if options.full { ALL } else { LIBRARY }, target, &tools))?;
    }
    if options.full || options.check {
        succeed(&mut for_target(if options.full { ALL } else { USED }, WINDOWS, &tools))?;
    }
    if options.check {
        return Ok(());
    }
    let program = if options.full { (" -p rpcplugin-cli", " --example basic-plugin") } else { ("", "") };
    let packages = format!(" {PACKAGES}{} ", program.0);
    let of_packages = |line: &str| for_target(&line.replacen(' ', &packages, 1), WINDOWS, &tools);
    succeed(&mut of_packages(&format!("{PROGRAMS}{}", program.1)))?;
    let peers = tools.directory.join("go");
    let mut go = Command::new("go");
    go.args(["build", "-o"]).arg(peers.join("")).args(["./cmd/kit-host", "./cmd/kit-plugin"]);
    go.current_dir(workspace::root().join("tests/interop/go"))
        .envs([("GOOS", "windows"), ("GOARCH", "amd64")]);
    succeed(&mut go)?;
    let wine = Wine::start(&tools)?;
    for line in TESTS {
        let mut test = of_packages(line);
        test.env("CARGO_TARGET_X86_64_PC_WINDOWS_GNU_RUNNER", wine::PROGRAM).envs(wine.environment());
        test.env("RPCPLUGIN_PORTABLE_GO_HOST", peers.join("kit-host.exe"));
        test.env("RPCPLUGIN_PORTABLE_GO_PLUGIN", peers.join("kit-plugin.exe"));
        // Wine 8 does not know the process of a socket.
        succeed(test.args(["--", "--skip", "process_that_listens"]))?;
    }
    wine.check_leftovers()
}

/// A cargo line for another system, in a target directory of its own. A warning is an error.
fn for_target(line: &str, target: &str, tools: &tools::Tools) -> Command {
    let mut command = cargo(line.split(' '));
    command.args(["-Zbuild-std=std,panic_abort", "-Zwarnings", "--config", "build.warnings=\"deny\""]);
    command.args(["--target", target, "--target-dir"]).arg(&tools.directory).envs(tools.environment());
    command
}
