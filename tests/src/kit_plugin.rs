//! `kit-plugin`: a plugin that serves the conformance kit.

mod args;
mod broker;
mod counters;
mod kit;
mod metadata;
mod output;

use std::{io::Write as _, process::ExitCode};

use clap::Parser as _;
use rpcplugin::{RealStderr, Serve};

use crate::{facts, kit_plugin::args::Args};

/// Runs the plugin. Every failure to start is status 1, wrong flags among them.
pub fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(u8::from(error.use_stderr()));
        }
    };
    match serve(args) {
        Ok(serve) => serve.main(),
        Err(why) => {
            let _ = writeln!(std::io::stderr(), "kit-plugin: {why}");
            ExitCode::FAILURE
        }
    }
}

/// The plugin that the flags describe.
fn serve(args: Args) -> Result<Serve, String> {
    args.refuse_unsupported()?;
    let stderr = RealStderr::get().map_err(|error| format!("no stderr: {error}"))?;
    let mut serve = Serve::new(facts::cookie())
        .descriptors(include_bytes!("generated/conformance_descriptor.bin"))
        .config(args.config());
    for &version in &args.versions {
        let (stderr, limits) = (stderr.clone(), args.limits());
        serve = serve.version_with(version, move |context| kit::services(context.clone(), stderr, limits));
    }
    Ok(serve)
}
