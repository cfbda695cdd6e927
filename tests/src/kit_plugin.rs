//! `kit-plugin`: a plugin that serves the conformance kit.

mod args;
mod broker;
mod counters;
mod kit;
mod metadata;
mod output;
mod test_mode;

use std::{
    io::{self, Write as _},
    process::ExitCode,
};

use clap::Parser as _;
use rpcplugin::{Serve, config::Loader, hclog::Level, plugin::OriginalStderr};

use crate::{contract, kit_plugin::args::Args};

/// Runs the plugin. Every failure to start, wrong flags included, is exit status 1.
pub fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(u8::from(error.use_stderr()));
        }
    };
    match serve(&args) {
        Ok(serve) if args.test_mode => test_mode::main(serve),
        Ok(serve) => serve.main(),
        Err(error) => {
            let _ = writeln!(io::stderr(), "kit-plugin: no stderr: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the plugin without flags, with settings from its environment.
pub fn main_by_environment() -> ExitCode {
    let Ok(stderr) = OriginalStderr::get() else { return ExitCode::FAILURE };
    let mut serve = Serve::new(contract::cookie())
        .descriptors(include_bytes!("generated/conformance_descriptor.bin"))
        .load_config(&Loader::new().process_env());
    for version in contract::VERSIONS {
        let stderr = stderr.clone();
        serve =
            serve.version_with(version, move |context| kit::services(context.clone(), stderr, Level::Trace));
    }
    serve.main()
}

/// The plugin with the settings of the flags.
fn serve(args: &Args) -> io::Result<Serve> {
    let stderr = OriginalStderr::get()?;
    let mut serve = Serve::new(contract::cookie())
        .descriptors(include_bytes!("generated/conformance_descriptor.bin"))
        .config(args.config());
    for &version in &args.versions {
        let (stderr, least) = (stderr.clone(), args.log_level);
        serve = serve.version_with(version, move |context| kit::services(context.clone(), stderr, least));
    }
    Ok(serve)
}
