//! `cargo xtask schedules`: many orders of events in the broker, in a shutdown, and in supervision.
//!
//! The scenarios are `tests/tests/schedules`, which an ordinary test run goes through in some schedules only.

use crate::workspace::{Outcome, cargo, succeed};

/// Options of `cargo xtask schedules`.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// How many schedules each scenario has
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    count: u64,
    /// The first seed. The others follow it
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Only the scenario whose test has this in its name: broker, shutdown or supervision
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
}

/// Builds the scenarios for speed and runs them, each in a thread of its own.
pub(crate) fn run(options: &Options) -> Outcome {
    let mut test = cargo(TEST.split(' '));
    test.env("RPCPLUGIN_SCHEDULES", options.count.to_string());
    test.env("RPCPLUGIN_SEED", options.seed.to_string());
    test.args(options.only.as_deref());
    Ok(succeed(&mut test)?)
}

/// Without the optimisation of the whole program, which takes long and gains little here.
const TEST: &str = "test --quiet --package rpcplugin-tests --test schedules --release \
--config profile.release.lto=false --config profile.release.codegen-units=16 -- --nocapture";
