//! The fault of a failed launch.

use miette::Diagnostic;
use rpcplugin_handshake::{HandshakeLineError, HandshakeLineFault};
use rpcplugin_transport::http2::ChannelError;

use super::{
    connect::ConnectFault,
    handshake::HandshakeFault,
    metadata::MetadataCallError,
    plugin_reason::{PluginReason, hints_at_cookie},
    program::ProgramFault,
    requirement::RequirementFault,
    security::SecurityFault,
    setup::SetupFault,
    start::StartFault,
};
use crate::exit::ExitReason;

/// The fault of a failed launch, by the step that failed.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[non_exhaustive]
pub enum LaunchFault {
    /// The host could not prepare the launch.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Setup(#[from] SetupFault),
    /// The program cannot be executed.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Program(#[from] ProgramFault),
    /// The runner did not start the plugin.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Start(#[from] StartFault),
    /// The plugin cannot be confined, or its sandbox denied what it needs.
    #[cfg(feature = "sandbox")]
    #[error(transparent)]
    #[diagnostic(transparent)]
    Sandbox(#[from] rpcplugin_sandbox::SandboxFault),
    /// The plugin printed no handshake line that the host accepts.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Handshake(#[from] HandshakeFault),
    /// The connection cannot be secured.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Security(#[from] SecurityFault),
    /// The host could not connect to the plugin.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Connect(#[from] ConnectFault),
    /// The plugin does not meet a requirement of the host, or the host does not meet one of the plugin.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Requirement(#[from] RequirementFault),
}

impl LaunchFault {
    /// The fault of a runner that could not start its plugin.
    pub fn runner(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        StartFault::Runner(error.into()).into()
    }

    /// Whether the same launch may succeed when it is tried again.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Program(fault) => {
                matches!(fault, ProgramFault::Spawn { .. } | ProgramFault::TextFileBusy { .. })
            }
            Self::Start(_) => true,
            Self::Handshake(fault) => matches!(
                fault,
                HandshakeFault::ExitedEarly(_)
                    | HandshakeFault::StdoutClosed
                    | HandshakeFault::Timeout(_)
                    | HandshakeFault::Stopped { .. }
                    | HandshakeFault::Stdout(_)
            ),
            Self::Connect(ConnectFault::Unreachable(error)) => {
                !matches!(error, ChannelError::Secure(_) | ChannelError::NotHttp2(_))
            }
            Self::Connect(fault) => {
                !matches!(fault, ConnectFault::HostRefused(_) | ConnectFault::HostServices(_))
            }
            Self::Requirement(fault) => matches!(
                fault,
                RequirementFault::Metadata(MetadataCallError::Timeout(_) | MetadataCallError::Failed(_))
            ),
            Self::Setup(_) | Self::Security(_) => false,
            #[cfg(feature = "sandbox")]
            Self::Sandbox(_) => false,
        }
    }

    /// Whether the exit status can explain this fault. If so, the launch waits briefly for the process to exit.
    pub(crate) fn is_explained_by_exit(&self) -> bool {
        matches!(
            self,
            Self::Connect(
                ConnectFault::Unreachable(_)
                    | ConnectFault::HostRefused(_)
                    | ConnectFault::HealthCheckFailed(_)
            ) | Self::Handshake(HandshakeFault::InvalidLine(_) | HandshakeFault::LineTooLong { .. })
                | Self::Requirement(RequirementFault::Metadata(MetadataCallError::Failed(_)))
        )
    }

    /// Whether the program's file can explain this fault.
    pub(crate) fn is_about_the_file(&self) -> bool {
        match self {
            Self::Program(fault) => matches!(
                fault,
                ProgramFault::InterpreterNotFound { .. }
                    | ProgramFault::NotExecutable { .. }
                    | ProgramFault::NotAProgram { .. }
                    | ProgramFault::Spawn { .. }
            ),
            Self::Start(fault) => matches!(fault, StartFault::Runner(_)),
            Self::Handshake(HandshakeFault::ExitedEarly(reason)) => {
                matches!(reason, ExitReason::Status(NOT_EXECUTABLE | NOT_FOUND))
            }
            _ => false,
        }
    }

    /// Whether the plugin's stderr can explain this fault.
    pub(super) fn is_explained_by_stderr(&self) -> bool {
        match self {
            Self::Handshake(fault) => match fault {
                HandshakeFault::ExitedEarly(_)
                | HandshakeFault::LibraryMissing(_)
                | HandshakeFault::StdoutClosed
                | HandshakeFault::Timeout(_)
                | HandshakeFault::LineTooLong { .. } => true,
                HandshakeFault::InvalidLine(error) => error.fault == HandshakeLineFault::NotAHandshakeLine,
                _ => false,
            },
            Self::Connect(fault) => !matches!(fault, ConnectFault::HostServices(_)),
            _ => false,
        }
    }

    /// The error of a line that is not a valid handshake line.
    pub(super) fn invalid_line(&self) -> Option<&HandshakeLineError> {
        match self {
            Self::Handshake(HandshakeFault::InvalidLine(error)) => Some(error),
            _ => None,
        }
    }

    /// Whether the text of this fault has the exit status of the process in it.
    pub(super) fn names_exit(&self) -> bool {
        matches!(
            self,
            Self::Handshake(
                HandshakeFault::ExitedEarly(_)
                    | HandshakeFault::CookieRefused(_)
                    | HandshakeFault::LibraryMissing(_)
            ) | Self::Connect(ConnectFault::Exited(_))
        )
    }

    /// The better fault for an early exit that the plugin's stderr explains. Other faults are returned unchanged.
    pub(crate) fn refined_by(self, stderr: &[String], reason: Option<&PluginReason>) -> Self {
        let Self::Handshake(HandshakeFault::ExitedEarly(exit)) = self else { return self };
        let refuses_cookie = || match reason {
            Some(reason) if reason.is_certain() => reason.is_about_the_cookie(),
            _ => stderr.iter().any(|line| hints_at_cookie(line)),
        };
        // A cause that the runner reports needs no guess.
        let is_guessed = !exit.is_success() && exit.report().is_none();
        let fault = if is_guessed && refuses_cookie() {
            HandshakeFault::CookieRefused(exit)
        } else if is_guessed && stderr.iter().any(|line| reports_missing_library(line)) {
            HandshakeFault::LibraryMissing(exit)
        } else {
            HandshakeFault::ExitedEarly(exit)
        };
        fault.into()
    }
}

#[cfg(feature = "sandbox")]
impl LaunchFault {
    /// The better fault for a plugin that ended, if its words or its signal show what the sandbox denied. Words that name neither a
    /// path nor a port nor a limit do not count: the plugin may mean something else.
    pub(crate) fn denied_by(self, sandbox: Option<&rpcplugin_sandbox::Sandbox>, stderr: &[String]) -> Self {
        use rpcplugin_sandbox::{Denied, SandboxFault};
        let Some(sandbox) = sandbox else { return self };
        let (Self::Handshake(HandshakeFault::ExitedEarly(exit) | HandshakeFault::LibraryMissing(exit))
        | Self::Connect(ConnectFault::Exited(exit))) = &self
        else {
            return self;
        };
        if exit.signal().and_then(crate::os::Signal::name).as_deref() == Some("SIGSYS") {
            return SandboxFault::Denied { denied: Denied::ForeignSystemCall, line: exit.to_string() }.into();
        }
        let found = stderr.iter().rev().find_map(|line| {
            let denied = sandbox.denied_in(line).filter(|denied| *denied != Denied::Unnamed)?;
            Some(SandboxFault::Denied { denied, line: line.trim().to_owned() })
        });
        match found {
            Some(fault) if !exit.is_success() => fault.into(),
            _ => self,
        }
    }
}

/// Whether this is what the dynamic loaders of glibc, musl and macOS print when a library is missing.
fn reports_missing_library(line: &str) -> bool {
    let line = line.to_lowercase();
    ["error while loading shared libraries:", "error loading shared library", "library not loaded:"]
        .iter()
        .any(|words| line.contains(words))
}

/// The exit statuses of a shell, `env` or a dynamic loader whose program may not be executed, or does not exist.
pub(super) const NOT_EXECUTABLE: i32 = 126;
pub(super) const NOT_FOUND: i32 = 127;
