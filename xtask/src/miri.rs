//! `cargo xtask miri`: the unit tests of crates without input and output under Miri, which finds undefined behaviour.

use crate::toolchain::{first_line, rustup};
use crate::workspace::{Outcome, succeed};

/// What this machine lacks.
pub(crate) fn obstacle() -> Result<(), String> {
    first_line(rustup("nightly", "cargo").args(["miri", "--version"])).map(drop).map_err(|why| {
        format!("no Miri ({why}): rustup toolchain install nightly --component miri --component rust-src")
    })
}

/// Runs the tests, in some minutes: Miri is some hundred times slower than the processor.
pub(crate) fn run() -> Outcome {
    obstacle()?;
    let mut miri = rustup("nightly", "cargo");
    miri.args(["miri", "test"]);
    miri.args(CRATES.iter().flat_map(|name| ["--package", name]));
    miri.args(["--lib", "--"]);
    miri.args(SLOW.iter().flat_map(|test| ["--skip", test]));
    // Some tests read the clock and files. A property takes seconds for each value.
    miri.env("MIRIFLAGS", "-Zmiri-disable-isolation").env("PROPTEST_CASES", "2");
    Ok(succeed(&mut miri)?)
}

const CRATES: [&str; 4] = ["rpcplugin-core", "rpcplugin-handshake", "rpcplugin-hclog", "rpcplugin-config"];

/// Tests that go through very many values or bytes.
const SLOW: [&str; 6] = [
    "a_block_has_at_most_32_kib",
    "any_file_can_be_scanned",
    "every_block_is_found",
    "the_block_is_in_the_program",
    "the_date_of_every_day",
    "the_first_valid_block",
];
