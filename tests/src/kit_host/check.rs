//! `kit-host check`: the checks of a plugin and of this host together.

mod broker;
mod calls;
mod crash;
mod errors;
#[cfg(unix)]
mod hostile;
mod lifecycle;
mod output;
mod reattach;
mod run;
mod security;
mod streams;
mod subject;
mod supervision;
mod verdict;
mod versions;

use std::{
    collections::BTreeSet,
    io::{self, Write as _},
    path::PathBuf,
    process::ExitCode,
};

use clap::Args;
use rpcplugin::{
    docker::Container,
    sandbox::{Sandbox, SystemCalls, UnixSockets},
};

use crate::kit_host::{
    check::{
        run::{Check, EMPTY_VARIABLE, Run, Work},
        verdict::Miss,
    },
    launching::Launching,
};

/// The checks, and the launch of the plugin.
#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// Secure connections with AutoMTLS.
    #[arg(long)]
    auto_mtls: bool,
    /// Multiplex brokered connections over the main one.
    #[arg(long)]
    mux: bool,
    /// Use the lane, if the plugin accepts it.
    #[arg(long)]
    lane: bool,
    /// Offer a connection that the plugin inherits.
    #[arg(long)]
    inherit: bool,
    /// The certificates to use instead of AutoMTLS: DIR/ca.pem, DIR/host.pem, DIR/host.key.
    #[arg(long, value_name = "DIR")]
    tls_dir: Option<PathBuf>,
    /// Check brokered connections too. Other hosts of the kit need this flag. This host always checks them, unless the plugin
    /// has no broker.
    #[arg(long)]
    broker: bool,
    /// Leave out the checks that do not use the plugin, and so have the same results for every plugin.
    #[arg(long)]
    no_others: bool,
    /// Run only these checks.
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    only: Vec<String>,
    /// Do not run these checks.
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    skip: Vec<String>,
    /// Start the plugin in a container of this image, at the engine that DOCKER_HOST names. The plugin is a program of the image.
    #[arg(long, value_name = "IMAGE")]
    container: Option<String>,
    /// A directory of this machine that the container has under the same path, for reading.
    #[arg(long, value_name = "DIR", requires = "container")]
    mount: Vec<PathBuf>,
    /// Confine the plugin. Without --mux it may connect to all Unix sockets, because it dials those of this host.
    #[arg(long, conflicts_with = "container")]
    sandbox: bool,
    /// A file or a directory that the confined plugin may read.
    #[arg(long, value_name = "PATH", requires = "sandbox")]
    sandbox_read: Vec<PathBuf>,
    /// A file or a directory that the confined plugin may execute.
    #[arg(long, value_name = "PATH", requires = "sandbox")]
    sandbox_execute: Vec<PathBuf>,
    /// Allow the confined plugin to change modes and owners of files, as a plugin of pyvider does.
    #[arg(long, requires = "sandbox")]
    sandbox_file_metadata: bool,
    /// The plugin and its arguments.
    #[arg(last = true, required = true, value_name = "PLUGIN")]
    command: Vec<String>,
}

/// All checks, in the order in which they run.
fn checks() -> Vec<Check> {
    [
        versions::CHECKS,
        calls::CHECKS,
        errors::CHECKS,
        streams::CHECKS,
        output::CHECKS,
        broker::CHECKS,
        security::CHECKS,
        lifecycle::CHECKS,
        crash::CHECKS,
        supervision::CHECKS,
        reattach::CHECKS,
        #[cfg(unix)]
        hostile::CHECKS,
    ]
    .concat()
}

/// Runs the checks one after the other, and prints a line for each.
pub(crate) async fn run(args: CheckArgs) -> io::Result<ExitCode> {
    let checks = checks();
    let known: BTreeSet<_> = checks.iter().map(|check| check.name).collect();
    if let Some(unknown) = args.only.iter().chain(&args.skip).find(|name| !known.contains(name.as_str())) {
        // Otherwise a misspelt name silently checks nothing.
        let known: Vec<_> = known.into_iter().collect();
        let why = format!("unknown check {unknown:?}; the checks are: {}", known.join(", "));
        return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
    }
    let mut launching = Launching::new(args.command);
    launching.container = args.container.map(|image| {
        args.mount.iter().fold(Container::new(image), |container, dir| container.mount(dir, dir))
    });
    launching.sandbox = args.sandbox.then(|| {
        let sandbox = args.sandbox_read.iter().fold(Sandbox::new(), Sandbox::read);
        let sandbox = args.sandbox_execute.iter().fold(sandbox, Sandbox::execute);
        let sandbox =
            if args.sandbox_file_metadata { sandbox.allow(SystemCalls::FileMetadata) } else { sandbox };
        if args.mux { sandbox } else { sandbox.unix_sockets(UnixSockets::Any) }
    });
    launching.auto_mtls = args.auto_mtls;
    launching.mux = args.mux;
    launching.inherit = args.inherit;
    launching.lane = args.lane;
    launching.tls_dir = args.tls_dir;
    launching.env.insert(EMPTY_VARIABLE.to_owned(), String::new());
    let mut run = Run::new(launching);
    let mut out = io::stdout();
    let (mut passed, mut failed) = (0, 0);
    for check in checks {
        let name = check.name;
        let left_out = args.no_others && matches!(check.work, Work::Alone(_));
        if left_out || !args.only.is_empty() && !args.only.iter().any(|only| only == name) {
            continue;
        }
        if args.skip.iter().any(|skip| skip == name) {
            writeln!(out, "SKIP {name}: named by --skip")?;
            continue;
        }
        match run.perform(check).await {
            Ok(()) => {
                passed += 1;
                writeln!(out, "PASS {name}")?;
            }
            Err(Miss::Skipped(why)) => writeln!(out, "SKIP {name}: {why}")?,
            Err(Miss::Failed(why)) => {
                failed += 1;
                writeln!(out, "FAIL {name}: {}", why.replace('\n', " "))?;
            }
        }
    }
    run.end().await;
    writeln!(out, "{passed} passed, {failed} failed")?;
    Ok(if passed > 0 && failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_fit_to_be_listed_and_come_once() {
        let checks = checks();
        let names: BTreeSet<_> = checks.iter().map(|check| check.name).collect();
        assert_eq!(names.len(), checks.len());
        let least = if cfg!(unix) { 60 } else { 40 };
        assert!(checks.len() >= least, "{}", checks.len());
        let fit = |name: &str| name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'));
        assert!(names.iter().all(|name| fit(name)), "{names:?}");
    }
}
