//! Why a plugin is not there.

use std::{fmt, io, path::PathBuf, time::Duration};

use miette::{Diagnostic, Severity};
use rpcplugin_broker::AcceptError;
use rpcplugin_config::ConfigError;
use rpcplugin_core::{Endpoint, PlainReport};
use rpcplugin_handshake::{HandshakeLineError, HandshakeLineFault, PortRangeError, VersionNotOffered};
use rpcplugin_mtls::{IdentityError, PeerCertificateError, PemError, TlsError};
use rpcplugin_transport::{SocketDirError, http2::ConnectError};
use rustix::process::Signal;
use tonic_health::ServingStatus;

use crate::{
    child::stopped_by,
    command::Command,
    exit::ExitReason,
    process::Process,
    quoted::Shown,
    reason::{PluginReason, ReasonKind, hints_at_cookie},
};

/// A plugin did not start. Nothing of it is left: the process has been killed and reaped, its sockets are removed.
///
/// [`Display`](fmt::Display) is one line with the reason and its causes. Where the plugin itself says on stderr why it ended,
/// that is the reason, quoted and shortened, and its advice is the help; the fault is the source then. What the plugin last
/// wrote, how it ended, notes about its file where the fault is one of the file, and the tries that failed before are
/// [related](Diagnostic::related) diagnostics of the severity [`Advice`](miette::Severity::Advice).
///
/// [`Debug`] explains as [`PlainReport`] does, so that a `main` which returns this error ends with words for a person.
pub struct LaunchError {
    /// What went wrong.
    pub fault: LaunchFault,
    facts: Box<LaunchFacts>,
    earlier: Vec<Self>,
    evidence: Vec<Evidence>,
}

/// What is known of a plugin that did not start.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct LaunchFacts {
    /// The program.
    pub program: PathBuf,
    /// How the process ended by itself, if it did.
    pub ended: Option<ExitReason>,
    /// The last lines it wrote on its stderr.
    pub stderr: Vec<String>,
    /// Lines that it printed on its stdout in place of a handshake line, or before it.
    pub stdout: Vec<String>,
    /// Why it ended, as it said on its stderr itself.
    pub reason: Option<PluginReason>,
    /// Notes about the program's file, where they may explain the fault.
    pub notes: Option<String>,
    /// How long it was tried.
    pub elapsed: Duration,
}

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
        /// The number of the signal that has stopped it.
        signal: i32,
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
        ConnectError,
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
    /// The range of ports is reversed.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Ports(#[from] PortRangeError),
}

/// A plugin did not answer a ping.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[non_exhaustive]
pub enum PingError {
    /// Its process has ended. The source of a call that failed by it, `PluginExited`, has the same code.
    #[error("the plugin has ended: {0}")]
    #[diagnostic(code(rpcplugin::transport::plugin_ended), help("launch it again"))]
    Ended(ExitReason),
    /// It did not answer in time.
    #[error("the plugin did not answer within {} s", .0.as_secs_f32())]
    #[diagnostic(
        code(rpcplugin::transport::plugin_hangs),
        help("it may be stopped, overloaded or stuck: stop it, and launch it again")
    )]
    Late(Duration),
    /// It answered with an error.
    #[error("the plugin cannot be asked for its health")]
    #[diagnostic(
        code(rpcplugin::protocol::no_health),
        help("the plugin has to serve grpc.health.v1.Health for the name `plugin`")
    )]
    Failed(#[from] tonic::Status),
}

impl LaunchError {
    pub(crate) fn new(fault: LaunchFault, facts: LaunchFacts) -> Self {
        let mut error = Self { fault, facts: Box::new(facts), earlier: Vec::new(), evidence: Vec::new() };
        error.evidence = error.gather();
        error
    }

    /// The error of the last try, with the errors of those before it.
    pub(crate) fn after(mut self, earlier: Vec<Self>) -> Self {
        self.earlier = earlier;
        self.evidence = self.gather();
        self
    }

    /// What is known of the plugin.
    #[must_use]
    pub fn facts(&self) -> &LaunchFacts {
        &self.facts
    }

    /// The tries that failed before this one, the first one first. Empty without
    /// [retries](rpcplugin_config::HostConfig::retry).
    #[must_use]
    pub fn earlier(&self) -> &[Self] {
        &self.earlier
    }

    /// The plugin's own reason, where it is why there is no plugin.
    fn own_reason(&self) -> Option<&PluginReason> {
        let (LaunchFault::ExitedEarly(ended) | LaunchFault::ExitedConnecting(ended)) = self.fault else {
            return None;
        };
        let reason = self.facts.reason.as_ref().filter(|reason| reason.is_certain())?;
        // A program that reports an error ends by itself. One that a signal ended had only complained before.
        let by_signal = matches!(ended, ExitReason::Signal(_));
        (reason.kind == ReasonKind::Panic || !by_signal).then_some(reason)
    }

    /// Whether the plugin's words point to the magic cookie.
    fn points_to_the_cookie(&self) -> bool {
        match &self.facts.reason {
            Some(reason) if reason.is_certain() => reason.is_about_the_cookie(),
            _ => {
                let instead = match &self.fault {
                    LaunchFault::HandshakeLine(error) => Some(error.line()),
                    _ => None,
                };
                let facts = self.facts.stderr.iter().chain(&self.facts.stdout).map(|line| &**line);
                facts.chain(instead).any(hints_at_cookie)
            }
        }
    }

    /// Why there is no plugin, on one line.
    fn reason(&self) -> String {
        if let Some(reason) = self.own_reason() {
            return reason.to_string();
        }
        let text = Shown(&with_causes(&self.fault), LONGEST_REASON).to_string();
        match &self.facts.reason {
            Some(reason) if self.belongs_to_the_reason(reason) => format!("{text}; {reason}"),
            _ => text,
        }
    }

    /// Whether what the plugin last wrote on stderr says more of the fault: any line of one that said no more, and otherwise
    /// one that is about a fault.
    fn belongs_to_the_reason(&self, reason: &PluginReason) -> bool {
        let said_no_more = matches!(self.fault, LaunchFault::Silent(_) | LaunchFault::StdoutClosed);
        let ended = self.facts.ended.is_some() || self.fault.tells_end();
        self.fault.may_be_clear_from_stderr() && (said_no_more || ended || reason.is_about_a_fault())
    }

    /// What is known beside the reason.
    fn gather(&self) -> Vec<Evidence> {
        let facts = &self.facts;
        let mut evidence = Vec::new();
        if let (Some(ended), false) = (facts.ended, self.fault.tells_end()) {
            evidence.push(Evidence(format!("it has ended: {ended}")));
        }
        evidence.extend(Evidence::lines("stdout", &facts.stdout));
        evidence.extend(Evidence::lines("stderr", &facts.stderr));
        if let Some(notes) = &facts.notes {
            evidence.push(Evidence(format!("notes about the program:\n  {}", notes.replace('\n', "\n  "))));
        }
        for (n, error) in self.earlier.iter().enumerate() {
            let took = error.facts.elapsed.as_millis();
            evidence.push(Evidence(format!("try {}, after {took} ms: {}", n + 1, error.reason())));
        }
        evidence
    }
}

/// Something that is known of a plugin that did not start, or has ended.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Evidence(String);

impl Evidence {
    /// What the plugin wrote on stdout or stderr, if it did.
    pub(crate) fn lines(name: &str, lines: &[String]) -> Option<Self> {
        let indented: String = lines.iter().map(|line| format!("\n  {line}")).collect();
        (!lines.is_empty()).then(|| Self(format!("{name} of the plugin:{indented}")))
    }
}

impl Diagnostic for Evidence {
    fn severity(&self) -> Option<Severity> {
        Some(Severity::Advice)
    }
}

impl LaunchFault {
    /// The fault of a runner that could not start its plugin.
    pub fn runner(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Runner(error.into())
    }

    /// That the process is stopped, if it is.
    pub(crate) fn stopped(process: &Process) -> Option<Self> {
        // Of a process that has ended nothing is asked: its number can be another's.
        let runs = process.ended().is_none().then(|| process.pid()).flatten();
        runs.and_then(stopped_by).map(|signal| Self::Stopped { signal })
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
            Self::Connect(error) => !matches!(error, ConnectError::Secure(_) | ConnectError::NotHttp2(_)),
            _ => false,
        }
    }

    /// Whether the plugin, which runs no more or will not for long, may say more about it by the way it ends.
    pub(crate) fn may_be_told_by_the_end(&self) -> bool {
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
    fn may_be_clear_from_stderr(&self) -> bool {
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
            Self::HandshakeLine(error) => error.fault == HandshakeLineFault::NotAnAnswer,
            _ => false,
        }
    }

    /// The fault of a process that could not be started.
    pub(crate) fn spawn(command: &Command, source: io::Error) -> Self {
        /// The operating system does not know the file's format.
        const ENOEXEC: i32 = rustix::io::Errno::NOEXEC.raw_os_error();
        let program = command.program.clone();
        if let Some(dir) = command.dir.as_ref().filter(|dir| !dir.is_dir()) {
            return Self::NoDirectory { dir: dir.clone() };
        }
        match source.kind() {
            // A name that is not found in PATH comes back as it is, and means nothing in the working directory.
            io::ErrorKind::NotFound
                if Some(crate::child::find(&program))
                    .is_some_and(|file| file.is_absolute() && file.exists()) =>
            {
                Self::InterpreterNotFound { program }
            }
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Self::NotFound { program },
            io::ErrorKind::PermissionDenied if program.is_dir() => Self::IsDirectory { program },
            io::ErrorKind::PermissionDenied if program.exists() && !program.is_file() => {
                Self::NotAFile { program }
            }
            io::ErrorKind::PermissionDenied => Self::NotExecutable { program },
            io::ErrorKind::ExecutableFileBusy => Self::Busy { program },
            _ if source.raw_os_error() == Some(ENOEXEC) => Self::NotAProgram { program },
            _ => Self::Spawn { program, source },
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
}

impl fmt::Display for LaunchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the plugin {} did not start", self.facts.program.display())?;
        if !self.earlier.is_empty() {
            write!(f, " in {} tries", self.earlier.len() + 1)?;
        }
        write!(f, ": {}", self.reason())
    }
}

impl fmt::Debug for LaunchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&PlainReport(self), f)
    }
}

impl std::error::Error for LaunchError {
    /// How the plugin ended, where its own words are the reason. Otherwise the fault and its causes are the reason.
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.own_reason().map(|_| &self.fault as &(dyn std::error::Error + 'static))
    }
}

impl Diagnostic for LaunchError {
    /// The code of the fault, or the one that a plugin made with this library ended with.
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        let own = self.own_reason().and_then(|reason| reason.code.as_ref());
        if let Some(code) = own.filter(|code| code.starts_with("rpcplugin::")) {
            return Some(Box::new(code));
        }
        innermost(&self.fault, &|diagnostic| diagnostic.code().map(|code| code.to_string()))
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        if let Some(reason) = self.own_reason() {
            let advice = reason.help.as_deref().unwrap_or(match reason.kind {
                ReasonKind::Panic => PANICKED,
                _ => SAID_WHY,
            });
            return Some(Box::new(advice));
        }
        let advice = match &self.fault {
            LaunchFault::HandshakeLine(error)
                if error.fault == HandshakeLineFault::NotAnAnswer && self.points_to_the_cookie() =>
            {
                COOKIE
            }
            LaunchFault::HandshakeLine(error)
                if error.fault == HandshakeLineFault::NotAnAnswer && self.facts.ended.is_some() =>
            {
                ORDINARY_PROGRAM
            }
            LaunchFault::ExitedEarly(ExitReason::Status(NOT_EXECUTABLE | NOT_FOUND)) => NOTHING_TO_RUN,
            LaunchFault::ExitedEarly(reason) if reason.is_success() => {
                if self.points_to_the_cookie() {
                    COOKIE
                } else {
                    NO_COMPLAINT
                }
            }
            LaunchFault::ExitedEarly(_) if self.facts.reason.is_some() => SAID_WHY,
            LaunchFault::ExitedEarly(_) => SAID_NOTHING,
            fault => return innermost(fault, &|diagnostic| diagnostic.help().map(|help| help.to_string())),
        };
        Some(Box::new(advice))
    }

    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn Diagnostic> + 'a>> {
        Some(Box::new(self.evidence.iter().map(|evidence| evidence as &dyn Diagnostic)))
    }

    fn diagnostic_source(&self) -> Option<&dyn Diagnostic> {
        // The fault's own help is part of this one's; a source would show it again. What it underlines is shown.
        None
    }

    fn source_code(&self) -> Option<&dyn miette::SourceCode> {
        match &self.fault {
            LaunchFault::HandshakeLine(error) => error.source_code(),
            _ => None,
        }
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = miette::LabeledSpan> + '_>> {
        match &self.fault {
            LaunchFault::HandshakeLine(error) => error.labels(),
            _ => None,
        }
    }
}

impl LaunchFault {
    /// Whether the fault itself says how the process ended.
    fn tells_end(&self) -> bool {
        matches!(
            self,
            Self::ExitedEarly(_)
                | Self::ExitedConnecting(_)
                | Self::CookieRefused(_)
                | Self::LibraryMissing(_)
        )
    }
}

/// A fault with its causes on one line. Some libraries repeat their cause's text in their own.
fn with_causes(fault: &LaunchFault) -> String {
    let mut text = fault.to_string();
    let mut source = std::error::Error::source(fault);
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text += &format!(": {cause_text}");
        }
        source = cause.source();
    }
    text
}

/// The property of the innermost diagnostic that has one: the closer to the cause, the better the advice.
fn innermost<'a>(
    diagnostic: &dyn Diagnostic,
    property: &dyn Fn(&dyn Diagnostic) -> Option<String>,
) -> Option<Box<dyn fmt::Display + 'a>> {
    fn find(
        diagnostic: &dyn Diagnostic,
        property: &dyn Fn(&dyn Diagnostic) -> Option<String>,
    ) -> Option<String> {
        let inner = diagnostic.diagnostic_source().and_then(|inner| find(inner, property));
        inner.or_else(|| property(diagnostic))
    }
    find(diagnostic, property).map(|text| Box::new(text) as Box<dyn fmt::Display>)
}

/// The name of a signal that stops a process, in a sentence.
fn stopping(signal: i32) -> String {
    let name = match Signal::from_named_raw(signal) {
        Some(Signal::TTIN) => "SIGTTIN: it reads from the terminal, to which a plugin is in the background",
        Some(Signal::TTOU) => "SIGTTOU: it changes the terminal, to which a plugin is in the background",
        Some(Signal::TSTP) => "SIGTSTP",
        Some(Signal::STOP) => "SIGSTOP",
        _ => return format!("signal {signal}"),
    };
    name.to_owned()
}

/// What helps against that.
fn help_for_stopped(signal: i32) -> &'static str {
    match Signal::from_named_raw(signal) {
        Some(Signal::TTIN | Signal::TTOU) => {
            "do not read or ask on the terminal (stdin, /dev/tty) in a plugin: let the host ask, and pass it on by a call or \
             by the environment. In the host give the plugin another stdin, with Command::stdin(Stdin::Null) or \
             Stdin::Piped; only with Command::share_process_group may it use the terminal"
        }
        _ => "let the process go on with kill -CONT, or find what stops it, such as a debugger",
    }
}

/// The statuses with which a shell, `env` and dynamic loaders say that what they were to run cannot be run, or is not there.
const NOT_EXECUTABLE: i32 = 126;
const NOT_FOUND: i32 = 127;

/// The help for those statuses.
const NOTHING_TO_RUN: &str = "a shell or a loader ends with this status when what it has to run is not there or may not be \
                              executed: see what it wrote on stderr, and check the commands and paths in the script";

/// The help for what ended as if all were well.
const NO_COMPLAINT: &str = "it ended as if all were well: a script that starts the plugin has to become it (`exec`) or wait \
                            for it, since what it leaves in the background ends with it";

/// The help for what ended and said why, in words that have no help of their own.
const SAID_WHY: &str = "correct what it names on stderr as its reason";

/// The help for what panicked.
const PANICKED: &str = "the fault is in the plugin, or in what it was given: correct what it names as its reason, or pass \
                        the last lines of its stderr on to its author";

/// The help for what ended without a word.
const SAID_NOTHING: &str = "it wrote nothing on stderr: start it by hand with the same arguments and environment to see how \
                            far it comes";

/// The help for what takes itself for the plugin of another host.
const COOKIE: &str = "give host and plugin the same magic cookie: the same variable, and the same value in it; if it is the \
                      plugin of another program, that one has to start it";

/// The help for what printed something and ended.
const ORDINARY_PROGRAM: &str = "it seems to be an ordinary program and no plugin: it printed something and ended; if it \
                                is a plugin, it may print nothing on stdout before it serves: logs and banners belong \
                                on stderr";

/// As many characters of a fault with its causes as stand on one line.
const LONGEST_REASON: usize = 600;
