//! The launch of a plugin, with errors that name the flags of this program.

use std::{fmt, path::Path, sync::atomic::Ordering};

use miette::Diagnostic;
use rpcplugin::{
    Host, Plugin,
    handshake::VersionNotOffered,
    host::{LaunchFault, ProgramFault},
};

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

/// The plugin selected a version that was not offered.
///
/// The code is that of the library's error.
#[derive(Debug, thiserror::Error)]
#[error("the plugin speaks version {} of the protocol, and the host offered {}", refused.plugin, refused.host)]
pub(crate) struct OtherVersion {
    refused: VersionNotOffered,
    help: String,
}

/// The program is not in PATH, but in the working directory.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[error("{program} is not in PATH, but in the working directory")]
#[diagnostic(
    code(rpcplugin::transport::plugin_not_in_path),
    help("write ./{program}: a name without a slash is searched in PATH")
)]
pub(crate) struct NotInPath {
    program: String,
}

impl ExitsWith for NotInPath {
    const EXIT: Exit = Exit::NotStarted;
}

impl LaunchArgs {
    /// Launches the plugin, with a progress indicator on the terminal.
    ///
    /// # Errors
    /// [`NotStarted`], [`CookieMissing`], [`OtherVersion`] or [`NotInPath`]. Before the start: unusable certificate files, and a plugin
    /// of an ecosystem with another protocol.
    pub(crate) async fn launch(&self, out: &Out) -> Result<Plugin, CommandError> {
        let _working = out.working(format!("starting {}", self.name()));
        self.launch_by(&self.host()).await
    }

    /// Launches the plugin with a host that [`host`](Self::host) returned.
    pub(crate) async fn launch_by(&self, host: &Host) -> Result<Plugin, CommandError> {
        self.is_supported()?;
        // An unusable certificate file is a usage error, not a fault of the plugin.
        self.tls.read()?;
        let mut launched = host.launch_with(&self.runner()?).await;
        if let Err(error) = &launched
            && self.guesses_versions()
            && error.facts().stderr.iter().any(|line| refuses_a_version(line))
        {
            self.refused_zero.store(true, Ordering::Relaxed);
            launched = host.launch_with(&self.runner()?).await;
        }
        launched.map_err(|error| match error.fault {
            LaunchFault::Program(ProgramFault::Checksum { .. }) if self.is_locked() => self
                .changed(&error.fault)
                .map_or_else(|| NotStarted::new(error, self).into(), CommandError::from),
            LaunchFault::Handshake(rpcplugin::host::HandshakeFault::CookieRefused(_))
                if !self.has_cookie() =>
            {
                CookieMissing::new(error, self).into()
            }
            LaunchFault::Handshake(rpcplugin::host::HandshakeFault::Version(refused)) => {
                OtherVersion { help: self.help_for_version(refused.plugin), refused }.into()
            }
            LaunchFault::Program(ProgramFault::NotFound { ref program })
                if program.components().count() == 1 && Path::new(".").join(program).is_file() =>
            {
                NotInPath { program: self.name() }.into()
            }
            _ => NotStarted::new(error, self).into(),
        })
    }
}

impl Diagnostic for OtherVersion {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.refused.code()
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(&self.help))
    }
}

impl ExitsWith for OtherVersion {
    const EXIT: Exit = Exit::NotStarted;
}
