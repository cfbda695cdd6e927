//! What went wrong during a launch.

use std::{io, path::PathBuf, time::Duration};

use miette::Diagnostic;
use rpcplugin_broker::AcceptError;
use rpcplugin_config::ConfigError;
use rpcplugin_core::Endpoint;
use rpcplugin_handshake::{HandshakeLineError, HandshakeLineFault, VersionNotOffered};
use rpcplugin_mtls::{IdentityError, PeerCertificateError, PemError, TlsError};
use rpcplugin_transport::{SocketDirError, http2::ChannelError};
use tonic_health::ServingStatus;

use super::plugin_reason::{PluginReason, hints_at_cookie};
use crate::{exit::ExitReason, os::Signal};

/// What went wrong when a plugin was to be started.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[non_exhaustive]
pub enum LaunchFault {
    /// There is no such program.
    #[error("there is no program {}", program.display())]
    #[diagnostic(
        code(rpcplugin::transport::plugin_not_found),
        help(
            "check the path: it is taken relative to the working directory, and a bare name is looked for in PATH"
        )
    )]
    NotFound {
        /// What was looked for.
        program: PathBuf,
    },
    /// The program is there, but what it needs to run is not.
    #[error("{} is there, but the program that has to run it is not", program.display())]
    #[diagnostic(
        code(rpcplugin::transport::interpreter_not_found),
        help(
            "install what its first line (`#!`) or its dynamic loader names; or the working directory is missing"
        )
    )]
    InterpreterNotFound {
        /// The program.
        program: PathBuf,
    },
    /// The program may not be executed.
    #[error("{} may not be executed", program.display())]
    #[diagnostic(
        code(rpcplugin::transport::plugin_not_executable),
        help("make it executable for this user (`chmod +x`), and check that its directory may be entered")
    )]
    NotExecutable {
        /// The program.
        program: PathBuf,
    },
    /// It is a directory.
    #[error("{} is a directory, not a program", program.display())]
    #[diagnostic(
        code(rpcplugin::transport::plugin_is_directory),
        help("give the path of the program itself, not that of the directory it is in")
    )]
    IsDirectory {
        /// The directory.
        program: PathBuf,
    },
    /// It is no regular file, but a pipe or a device.
    #[error("{} is no file, but a pipe or a device", program.display())]
    #[diagnostic(code(rpcplugin::transport::plugin_not_a_file), help("give the path of the program itself"))]
    NotAFile {
        /// What is there.
        program: PathBuf,
    },
    /// The operating system does not know what to do with the file.
    #[error("{} is no program for this machine", program.display())]
    #[diagnostic(
        code(rpcplugin::transport::not_a_program),
        help("build it for this system and architecture; a script needs a first line such as `#!/bin/sh`")
    )]
    NotAProgram {
        /// The file.
        program: PathBuf,
    },
    /// The directory in which the program was to be started is not there.
    #[error("there is no directory {} to start it in", dir.display())]
    #[diagnostic(
        code(rpcplugin::transport::no_directory),
        help("make the directory, or start the plugin in another one")
    )]
    NoDirectory {
        /// The directory.
        dir: PathBuf,
    },
    /// Somebody is still writing the program's file.
    #[error("{} is still being written", program.display())]
    #[diagnostic(
        code(rpcplugin::transport::program_busy),
        help("wait until it is installed; a process that has the file open for writing has to close it")
    )]
    Busy {
        /// The program.
        program: PathBuf,
    },
    /// The program's file is not the one that was meant.
    #[error("{} is not the file that was meant: its digest is {found}, not {expected}", program.display())]
    #[diagnostic(
        code(rpcplugin::security::checksum),
        help(
            "install the plugin anew from a source you trust; after a wanted update give the host the new checksum"
        )
    )]
    Checksum {
        /// The program.
        program: PathBuf,
        /// The digest that it had to have.
        expected: String,
        /// The digest that it has.
        found: String,
    },
    /// The program's file cannot be read to verify its checksum.
    #[error("{} cannot be read to verify its checksum", program.display())]
    #[diagnostic(
        code(rpcplugin::security::checksum_unread),
        help("the host has to be allowed to read the file, not only to execute it")
    )]
    ChecksumUnread {
        /// The program.
        program: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// The [`Runner`](crate::Runner) could not start it.
    #[error("its runner could not start it")]
    #[diagnostic(code(rpcplugin::transport::runner), help("the cause says more"))]
    Runner(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The [`Runner`](crate::Runner) did not start it within the deadline.
    #[error("it was not started within {} s", .0.as_secs_f32())]
    #[diagnostic(
        code(rpcplugin::transport::not_started),
        help(
            "what has to start it takes longer, an image that is fetched for one: allow it more time, or prepare it"
        )
    )]
    NotStarted(Duration),
    /// The operating system refuses for another reason.
    #[error("the operating system cannot start {}", program.display())]
    #[diagnostic(
        code(rpcplugin::transport::spawn),
        help("the cause says more; often the system is out of processes, memory or file descriptors")
    )]
    Spawn {
        /// The program.
        program: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// The process ended before it printed its handshake line.
    #[error("it ended before it spoke: {0}")]
    #[diagnostic(
        code(rpcplugin::handshake::exited_early),
        help(
            "correct what it names on stderr as its reason; if it wrote nothing there, start it by hand with the same \
             arguments and environment to see how far it comes"
        )
    )]
    ExitedEarly(ExitReason),
    /// The process ended because it takes itself for the plugin of another host.
    #[error("it takes itself for the plugin of another host: {0}")]
    #[diagnostic(
        code(rpcplugin::handshake::cookie_refused),
        help(
            "give host and plugin the same magic cookie: the same variable, and the same value in it; if it is the \
             plugin of another program, that one has to start it"
        )
    )]
    CookieRefused(ExitReason),
    /// The process ended because a library that it is linked with is not there, or has not what the program needs of it.
    #[error("it needs a library that this machine does not have: {0}")]
    #[diagnostic(
        code(rpcplugin::transport::library_missing),
        help(
            "install the library that its stderr names, in the version that the program was built for, and where the \
             dynamic loader looks; or link the program statically"
        )
    )]
    LibraryMissing(ExitReason),
    /// The process closed its stdout without a handshake line, and runs on.
    #[error("it closed its stdout and said nothing")]
    #[diagnostic(
        code(rpcplugin::handshake::stdout_closed),
        help("the plugin has to print its handshake line on stdout before it closes or redirects that")
    )]
    StdoutClosed,
    /// No handshake line came within the deadline.
    #[error("it said nothing for {} s", .0.as_secs_f32())]
    #[diagnostic(
        code(rpcplugin::handshake::silent),
        help(
            "check that the program is a plugin, and that nothing holds up its start; or allow it more time"
        )
    )]
    Silent(Duration),
    /// It is stopped, and so answers nothing. Most often it asks or reads something on the terminal: a plugin is in the
    /// background there, and the system stops it by SIGTTIN or SIGTTOU.
    #[error("its process is stopped by {}", stopping(*.signal))]
    #[diagnostic(
        code(rpcplugin::handshake::stopped),
        help("{}", help_for_stopped(*signal))
    )]
    Stopped {
        /// The signal that has stopped it.
        signal: Signal,
    },
    /// What it printed is no handshake line.
    #[error("its handshake line cannot be understood")]
    #[diagnostic(code(rpcplugin::handshake::unreadable))]
    HandshakeLine(
        #[from]
        #[diagnostic_source]
        HandshakeLineError,
    ),
    /// It printed more than any handshake line has, without a line break.
    #[error("it printed a line that has no end: {start:?}…")]
    #[diagnostic(
        code(rpcplugin::handshake::endless_line),
        help(
            "check that the program is a plugin; before the handshake line nothing may be printed on stdout"
        )
    )]
    EndlessLine {
        /// How the line begins.
        start: String,
    },
    /// Its stdout could not be read.
    #[error("its stdout cannot be read")]
    #[diagnostic(code(rpcplugin::transport::stdout), help("the cause says more"))]
    Stdout(#[source] io::Error),
    /// It speaks a version of the protocol that this host does not.
    #[error("it does not speak this host's protocol")]
    #[diagnostic(code(rpcplugin::protocol::version))]
    Version(
        #[from]
        #[diagnostic_source]
        VersionNotOffered,
    ),
    /// It listens on a transport that this host does not use.
    #[error("it listens on {endpoint}, and this host does not use {}", endpoint.network())]
    #[diagnostic(
        code(rpcplugin::transport::not_allowed),
        help(
            "allow the transport in the host (PLUGIN_CLIENT_TRANSPORTS), or have the plugin listen on another"
        )
    )]
    Transport {
        /// Where it listens.
        endpoint: Endpoint,
    },
    /// Its address means nothing to this host.
    #[error("its address {endpoint} cannot be translated for this host")]
    #[diagnostic(
        code(rpcplugin::transport::translation),
        help("the runner has to know how this host reaches what its plugins listen on")
    )]
    Translate {
        /// What it announced.
        endpoint: Endpoint,
        /// What the translation says.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// It was asked for mutual TLS and sent no certificate.
    #[error("it was asked for mutual TLS and does without")]
    #[diagnostic(
        code(rpcplugin::security::plugin_ignored_mtls),
        help("build the plugin with a library that knows AutoMTLS, or knowingly switch it off in the host")
    )]
    IgnoredMtls,
    /// Its socket speaks TLS with certificates of its own, and this host has none that go with them.
    #[error("it secures its socket with certificates of its own, and this host has none for it")]
    #[diagnostic(
        code(rpcplugin::security::own_certificates),
        help(
            "give the host what goes with the plugin's certificates: certificate, private_key and server_roots; \
             AutoMTLS does not reach a plugin that brings its own (go-plugin: TLSProvider)"
        )
    )]
    OwnCertificates,
    /// It sent a certificate that nobody asked for.
    #[error("it sent a certificate that this host did not ask for")]
    #[diagnostic(
        code(rpcplugin::security::unasked_certificate),
        help("switch AutoMTLS on in the host, or the plugin's own certificate off")
    )]
    UnaskedCertificate,
    /// Only one of certificate and authorities was given, and there is no handshake by which to learn the rest.
    #[error("only one of certificate and authorities is given to the host, which is not enough for TLS")]
    #[diagnostic(
        code(rpcplugin::security::half_given),
        help(
            "set certificate, private_key and server_roots together, or none of them to speak plain text with a \
             plugin in test mode; a handover brings the security of its launch along"
        )
    )]
    HalfGiven,
    /// What it sent as its certificate is none.
    #[error("its certificate cannot be used")]
    #[diagnostic(code(rpcplugin::security::plugin_certificate))]
    Certificate(
        #[from]
        #[diagnostic_source]
        PeerCertificateError,
    ),
    /// It was asked to carry all connections over one socket, and cannot.
    #[error("it cannot carry all connections over one socket")]
    #[diagnostic(
        code(rpcplugin::protocol::no_multiplexing),
        help(
            "update the plugin's library (go-plugin 1.6 or later), or do not ask for multiplexing in the host"
        )
    )]
    NoMultiplexing,
    /// It cannot be connected to.
    #[error("it announced itself and cannot be reached")]
    #[diagnostic(code(rpcplugin::transport::unreachable))]
    Connect(
        #[from]
        #[diagnostic_source]
        ChannelError,
    ),
    /// The services that the host lets it call cannot be offered to it.
    #[error("the host's own services cannot be offered to it")]
    #[diagnostic(code(rpcplugin::transport::callbacks))]
    Callbacks(
        #[from]
        #[diagnostic_source]
        AcceptError,
    ),
    /// It ended after its handshake line, before it was connected.
    #[error("it ended while it was being connected: {0}")]
    #[diagnostic(
        code(rpcplugin::handshake::exited_connecting),
        help("see what it wrote on stderr: it had announced itself and then failed")
    )]
    ExitedConnecting(ExitReason),
    /// It was connected over TLS and cut the connection before it answered: a plugin that does not accept this host's
    /// certificate says so only after the host has accepted its own.
    #[error("it does not accept this host's certificate, or cut the connection")]
    #[diagnostic(
        code(rpcplugin::security::host_refused),
        help(
            "see what it wrote on stderr; with AutoMTLS something may have changed PLUGIN_CLIENT_CERT on its way to the \
             plugin, and with given certificates the plugin has to trust the one that issued the host's"
        )
    )]
    HostRefused(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// It was connected and then did not answer the first call.
    #[error("it refused the first call, or cut the connection")]
    #[diagnostic(
        code(rpcplugin::transport::first_call),
        help("see what it wrote on stderr; it may have ended, or serve something else than a plugin does")
    )]
    FirstCall(#[source] tonic::Status),
    /// It says that it is not healthy.
    #[error("it says of itself that it is {0}")]
    #[diagnostic(
        code(rpcplugin::protocol::not_healthy),
        help("the plugin set its own health status so: its log should say why")
    )]
    NotHealthy(ServingStatus),
    /// It announced itself and was not ready within the deadline.
    #[error("it announced itself and was not ready after {} s", .0.as_secs_f32())]
    #[diagnostic(
        code(rpcplugin::transport::not_ready),
        help("the plugin accepts connections but does not answer: it may hang; or allow it more time")
    )]
    NotReady(Duration),
    /// The host's own certificates cannot be used.
    #[error("the certificates given to the host cannot be used")]
    #[diagnostic(code(rpcplugin::security::host_identity))]
    Identity(
        #[from]
        #[diagnostic_source]
        IdentityError,
    ),
    /// The authorities given to the host cannot be read, or none of them is within its dates.
    #[error("the authorities given to the host cannot be used")]
    #[diagnostic(code(rpcplugin::security::host_authorities))]
    Authorities(
        #[from]
        #[diagnostic_source]
        PemError,
    ),
    /// The certificates make no TLS settings.
    #[error("TLS cannot be set up")]
    #[diagnostic(code(rpcplugin::security::tls_settings))]
    Tls(
        #[from]
        #[diagnostic_source]
        TlsError,
    ),
    /// There is no place for sockets.
    #[error("there is no place for sockets")]
    #[diagnostic(code(rpcplugin::transport::no_socket_dir))]
    SocketDir(
        #[from]
        #[diagnostic_source]
        SocketDirError,
    ),
    /// The host's configuration has values that are impossible, or do not go together.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Settings(#[from] ConfigError),
}

impl LaunchFault {
    /// The fault of a runner that could not start its plugin.
    pub fn runner(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Runner(error.into())
    }

    /// Whether the same launch may succeed when it is tried again.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Spawn { .. }
            | Self::Busy { .. }
            | Self::Runner(_)
            | Self::NotStarted(_)
            | Self::ExitedEarly(_)
            | Self::StdoutClosed
            | Self::Silent(_)
            | Self::Stopped { .. }
            | Self::Stdout(_)
            | Self::ExitedConnecting(_)
            | Self::FirstCall(_)
            | Self::NotHealthy(_)
            | Self::NotReady(_) => true,
            Self::Connect(error) => !matches!(error, ChannelError::Secure(_) | ChannelError::NotHttp2(_)),
            _ => false,
        }
    }

    /// Whether the plugin, which runs no more or will not for long, may say more about it by the way it ends.
    pub(crate) fn is_explained_by_exit(&self) -> bool {
        matches!(
            self,
            Self::Connect(_)
                | Self::HostRefused(_)
                | Self::FirstCall(_)
                | Self::HandshakeLine(_)
                | Self::EndlessLine { .. }
        )
    }

    /// Whether the program's file may explain it.
    pub(crate) fn is_about_the_file(&self) -> bool {
        match self {
            Self::InterpreterNotFound { .. }
            | Self::NotExecutable { .. }
            | Self::NotAProgram { .. }
            | Self::Spawn { .. }
            | Self::Runner(_) => true,
            Self::ExitedEarly(reason) => matches!(reason, ExitReason::Status(NOT_EXECUTABLE | NOT_FOUND)),
            _ => false,
        }
    }

    /// Whether the plugin's stderr may say more of it.
    pub(super) fn is_explained_by_stderr(&self) -> bool {
        match self {
            Self::ExitedEarly(_)
            | Self::ExitedConnecting(_)
            | Self::LibraryMissing(_)
            | Self::StdoutClosed
            | Self::Silent(_)
            | Self::HostRefused(_)
            | Self::FirstCall(_)
            | Self::NotHealthy(_)
            | Self::NotReady(_)
            | Self::Connect(_)
            | Self::EndlessLine { .. } => true,
            Self::HandshakeLine(error) => error.fault == HandshakeLineFault::NotAHandshakeLine,
            _ => false,
        }
    }

    /// The fault as the plugin's own last words explain it.
    pub(crate) fn in_the_light_of(self, stderr: &[String], reason: Option<&PluginReason>) -> Self {
        let Self::ExitedEarly(ended) = self else { return self };
        let refuses = || match reason {
            Some(reason) if reason.is_certain() => reason.is_about_the_cookie(),
            _ => stderr.iter().any(|line| hints_at_cookie(line)),
        };
        // What the dynamic loaders of glibc, musl and macOS say, before the program itself has run.
        let lacks = |line: &String| {
            let line = line.to_lowercase();
            ["error while loading shared libraries:", "error loading shared library", "library not loaded:"]
                .iter()
                .any(|words| line.contains(words))
        };
        if !ended.is_success() && refuses() {
            Self::CookieRefused(ended)
        } else if !ended.is_success() && stderr.iter().any(lacks) {
            Self::LibraryMissing(ended)
        } else {
            Self::ExitedEarly(ended)
        }
    }

    /// Whether the fault itself says how the process ended.
    pub(super) fn names_exit(&self) -> bool {
        matches!(
            self,
            Self::ExitedEarly(_)
                | Self::ExitedConnecting(_)
                | Self::CookieRefused(_)
                | Self::LibraryMissing(_)
        )
    }
}

/// The name of a signal that stops a process, in a sentence.
fn stopping(signal: Signal) -> String {
    match signal {
        Signal::TTIN => {
            format!("{signal}: it reads from the terminal, to which a plugin is in the background")
        }
        Signal::TTOU => format!("{signal}: it changes the terminal, to which a plugin is in the background"),
        _ => signal.to_string(),
    }
}

/// The help for a stopped process.
fn help_for_stopped(signal: Signal) -> &'static str {
    match signal {
        Signal::TTIN | Signal::TTOU => {
            "do not read or ask on the terminal (stdin, /dev/tty) in a plugin: let the host ask, and pass it on by a call or \
             by the environment. In the host give the plugin another stdin, with Command::stdin(Stdin::Null) or \
             Stdin::Piped; only with Command::share_process_group may it use the terminal"
        }
        _ => "let the process go on with kill -CONT, or find what stops it, such as a debugger",
    }
}

/// The statuses with which a shell, `env` and dynamic loaders say that what they were to run cannot be run, or is not there.
pub(super) const NOT_EXECUTABLE: i32 = 126;
pub(super) const NOT_FOUND: i32 = 127;
