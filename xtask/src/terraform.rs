//! `cargo xtask terraform`: the real Terraform against the demo provider, which are the tests in `tests/tests/terraform.rs`.

use crate::toolchain::Tool;
use crate::workspace::{Outcome, cargo, succeed};

/// Options of `cargo xtask terraform`.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct Options {
    /// Fail if there is no terraform, instead of skipping
    #[arg(long)]
    pub(crate) require: bool,
    /// Run only the scenarios whose name contains this
    #[arg(long, value_name = "TEXT")]
    pub(crate) filter: Option<String>,
    /// List the scenarios and run none
    #[arg(long)]
    pub(crate) list: bool,
}

/// Builds the provider and runs the scenarios.
pub(crate) fn run(options: &Options) -> Outcome {
    match Tool::Terraform.version() {
        Ok(version) => println!("{version}"),
        Err(_) if options.list => {}
        Err(why) if options.require => return Err(format!("required, but {why}").into()),
        Err(why) => {
            println!("SKIPPED  {why}");
            return Ok(());
        }
    }
    // The whole workspace selects the features, as in every other step. Nothing is compiled a second time.
    // The scenario of a confined provider starts it with the program.
    succeed(&mut cargo("build --workspace --quiet --bin rpcplugin".split(' ')))?;
    let mut tests = cargo("test --workspace --quiet --test terraform --".split(' '));
    tests.env("RPCPLUGIN_REQUIRE", "terraform").args(&options.filter);
    tests.args(options.list.then_some("--list"));
    Ok(succeed(&mut tests)?)
}
