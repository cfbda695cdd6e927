//! The workspace's own commands, run as `cargo xtask COMMAND`.
//!
//! Each command is a file. The exit status is not zero if anything failed.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "this is a program for a terminal")]

mod api;
mod bench;
mod ci;
mod cluster;
mod codegen;
mod containers;
mod cross;
mod docs;
mod fuzz;
mod guide;
mod images;
mod instructions;
mod interop;
mod leaks;
mod markdown;
mod miri;
mod mutants;
mod picture;
mod schedules;
mod soak;
mod terraform;
mod texts;
mod third_party;
mod tidy;
mod toolchain;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// The workspace's own commands.
#[derive(Debug, Parser)]
#[command(bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Generate the Rust code for everything in proto/ (no protoc needed)
    Codegen(codegen::Options),
    /// Write the listings of the public API in docs/api
    Api(api::Options),
    /// Write docs/errors.md and docs/configuration.md from the code
    Docs(docs::Options),
    /// Check the house rules: arrows between crates, manifests, sources
    Tidy,
    /// Run every check that a change has to pass
    Ci(ci::Options),
    /// Run hosts and plugins of Rust, Go and Python against each other
    Interop(interop::Options),
    /// Run the tests of rpcplugin-kube that need a cluster, against a Kubernetes of one node
    Cluster(cluster::Options),
    /// Compile for macOS and Windows, and run the Windows programs under Wine
    Cross(cross::Options),
    /// Run the fuzz targets of tests/fuzz (nightly compiler, cargo-fuzz)
    Fuzz(fuzz::Options),
    /// Run every step of the guide in a fresh directory
    Guide,
    /// Measure this library beside others, and write the results into docs/performance
    Bench(bench::Options),
    /// Count the instructions of small pieces of work under valgrind, beside the baseline
    Instructions(instructions::Options),
    /// Record the output of `rpcplugin inspect`, as a picture and as text in docs/cli.md
    Picture,
    /// Run the real Terraform against the demo provider
    Terraform(terraform::Options),
    /// Build and drive programs of other projects, and write docs/works-with.md
    ThirdParty(third_party::Options),
    /// Run plugins in containers of a real Podman
    Containers(containers::Options),
    /// Go through many orders of events in the broker, in a shutdown and in supervision
    Schedules(schedules::Options),
    /// Run the unit tests of crates without input and output under Miri (nightly compiler)
    Miri,
    /// Put small faults into the code, and see whether the tests notice (cargo-mutants)
    Mutants(mutants::Options),
    /// Drive plugins in three languages for minutes or hours, with faults, and check what must hold
    Soak(soak::Options),
}

fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Codegen(options) => codegen::run(&options),
        Command::Api(options) => api::run(&options),
        Command::Docs(options) => docs::run(&options),
        Command::Tidy => tidy::run(),
        Command::Ci(options) => ci::run(&options),
        Command::Interop(options) => interop::run(&options),
        Command::Cluster(options) => cluster::run(&options),
        Command::Cross(options) => cross::run(&options),
        Command::Fuzz(options) => fuzz::run(&options),
        Command::Guide => guide::run(),
        Command::Bench(options) => bench::run(&options),
        Command::Instructions(options) => instructions::run(&options),
        Command::Picture => picture::run(),
        Command::Terraform(options) => terraform::run(&options),
        Command::ThirdParty(options) => third_party::run(&options),
        Command::Containers(options) => containers::run(&options),
        Command::Schedules(options) => schedules::run(&options),
        Command::Miri => miri::run(),
        Command::Mutants(options) => mutants::run(&options),
        Command::Soak(options) => soak::run(&options),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
