//! The launch of a plugin, with errors that name this program's flags.

use std::{path::Path, sync::atomic::Ordering};

use rpcplugin::{Host, LaunchFault, Plugin, handshake::VersionNotOffered};

use super::{
    args::LaunchArgs,
    not_started::{CookieMissing, NotStarted},
    refused_version::refuses_a_version,
};
use crate::{
    error::{CommandError, ExitsWith},
    exit::Exit,
    ui::Out,
};

/// The plugin speaks a version that was not offered to it.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[error("the plugin speaks version {} of the protocol, and this host speaks {}", refused.plugin, refused.host)]
#[diagnostic(code(rpcplugin::protocol::version_not_offered))]
pub(crate) struct OtherVersion {
    refused: VersionNotOffered,
    #[help]
    help: String,
}

/// The program was looked for in PATH alone, and is in this directory.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[error("there is no {program} in PATH, but there is one in this directory")]
#[diagnostic(
    code(rpcplugin::transport::plugin_not_in_path),
    help("a name without a slash is looked for in PATH; write it as ./{program}")
)]
pub(crate) struct NotInPath {
    program: String,
}

impl LaunchArgs {
    /// Launches the plugin. A sign on the terminal tells of it while that takes its time.
    ///
    /// # Errors
    /// [`NotStarted`], [`CookieMissing`], [`OtherVersion`] or [`NotInPath`]; [`TlsFilesError`](super::TlsFilesError) and [`HandshakeLineFault::Packer`](rpcplugin::handshake::HandshakeLineFault::Packer)
    /// before anything is started.
    pub(crate) async fn launch(&self, out: &Out) -> Result<Plugin, CommandError> {
        let _working = out.working(format!("starting {}", self.name()));
        self.launch_by(&self.host()).await
    }

    /// The same, by a host that was made of [`host`](Self::host).
    pub(crate) async fn launch_by(&self, host: &Host) -> Result<Plugin, CommandError> {
        self.is_supported()?;
        // A file that cannot be used is a wrong argument, and no fault of the plugin.
        self.tls.read()?;
        let mut launched = host.launch(self.command()).await;
        if let Err(error) = &launched
            && self.guesses_versions()
            && error.facts().stderr.iter().any(|line| refuses_a_version(line))
        {
            self.refused_zero.store(true, Ordering::Relaxed);
            launched = host.launch(self.command()).await;
        }
        launched.map_err(|error| match error.fault {
            LaunchFault::Handshake(rpcplugin::host::HandshakeFault::CookieRefused(_))
                if !self.has_cookie() =>
            {
                CookieMissing::new(error, self).into()
            }
            LaunchFault::Handshake(rpcplugin::host::HandshakeFault::Version(refused)) => {
                OtherVersion { help: self.help_for_version(refused.plugin), refused }.into()
            }
            LaunchFault::Program(rpcplugin::host::ProgramFault::NotFound { ref program })
                if program.components().count() == 1 && Path::new(".").join(program).is_file() =>
            {
                NotInPath { program: self.name() }.into()
            }
            _ => NotStarted::new(error, self).into(),
        })
    }
}

impl ExitsWith for OtherVersion {
    const EXIT: Exit = Exit::NotStarted;
}

impl ExitsWith for NotInPath {
    const EXIT: Exit = Exit::NotStarted;
}
