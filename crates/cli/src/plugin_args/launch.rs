//! The launch of a plugin, with errors that name the flags of this program.

use std::{path::Path, sync::atomic::Ordering};

use rpcplugin::{Host, Plugin, handshake::VersionNotOffered, host::LaunchFault};

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
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[error("the plugin speaks version {} of the protocol, and the host offered {}", refused.plugin, refused.host)]
#[diagnostic(code(rpcplugin::protocol::version_not_offered))]
pub(crate) struct OtherVersion {
    refused: VersionNotOffered,
    #[help]
    help: String,
}

/// The program is not in PATH, but in the working directory.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[error("{program} is not in PATH, but in the working directory")]
#[diagnostic(
    code(rpcplugin::transport::plugin_not_in_path),
    help("write ./{program}: a name without a slash is searched in PATH")
)]
pub(crate) struct NotInPath {
    program: String,
}

impl LaunchArgs {
    /// Launches the plugin, with a progress indicator on the terminal.
    ///
    /// # Errors
    /// [`NotStarted`], [`CookieMissing`], [`OtherVersion`] or [`NotInPath`]; [`TlsFilesError`](super::TlsFilesError) and [`HandshakeLineFault::Packer`](rpcplugin::handshake::HandshakeLineFault::Packer)
    /// before the plugin is started.
    pub(crate) async fn launch(&self, out: &Out) -> Result<Plugin, CommandError> {
        let _working = out.working(format!("starting {}", self.name()));
        self.launch_by(&self.host()).await
    }

    /// Launches the plugin with a host that [`host`](Self::host) returned.
    pub(crate) async fn launch_by(&self, host: &Host) -> Result<Plugin, CommandError> {
        self.is_supported()?;
        // An unusable certificate file is a usage error, not a fault of the plugin.
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
            LaunchFault::CookieRefused(_) if !self.has_cookie() => CookieMissing::new(error, self).into(),
            LaunchFault::Version(refused) => {
                OtherVersion { help: self.help_for_version(refused.plugin), refused }.into()
            }
            LaunchFault::NotFound { ref program }
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
