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
    match serve(args.versions.iter().copied(), args.log_level).map(|serve| serve.config(args.config())) {
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
    match plugin() {
        Ok(serve) => serve.load_config(&Loader::new().process_env()).main(),
        Err(_) => ExitCode::FAILURE,
    }
}

/// Returns the plugin with all its versions and default settings.
///
/// # Errors
/// When the process has no stderr.
pub fn plugin() -> io::Result<Serve> {
    serve(contract::VERSIONS, Level::Trace)
}

/// The plugin with these versions, which logs records of this level and above.
fn serve(versions: impl IntoIterator<Item = u32>, least: Level) -> io::Result<Serve> {
    let stderr = OriginalStderr::get()?;
    let mut serve =
        Serve::new(contract::cookie()).descriptors(include_bytes!("generated/conformance_descriptor.bin"));
    for version in versions {
        let stderr = stderr.clone();
        serve = serve.version_with(version, move |context| kit::services(context.clone(), stderr, least));
    }
    Ok(serve)
}
