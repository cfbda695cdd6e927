//! Faults of the handshake line.

use std::{io, time::Duration};

use miette::Diagnostic;
use rpcplugin_core::Endpoint;
use rpcplugin_handshake::{HandshakeLineError, VersionNotOffered};

use crate::{exit::ExitReason, os::Signal};

/// The plugin printed no handshake line that the host accepts.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[non_exhaustive]
pub enum HandshakeFault {
    /// The process exited before it printed a handshake line.
    #[error("the plugin exited before it printed a handshake line: {0}")]
    #[diagnostic(
        code(rpcplugin::handshake::exited_early),
        help(
            "correct what its stderr names as the reason; if its stderr is empty, start the plugin by hand with the same \
             arguments and environment"
        )
    )]
    ExitedEarly(ExitReason),
    /// The process exited because the magic cookie is not that of the plugin's host.
    #[error("the plugin refused the magic cookie, which another host has: {0}")]
    #[diagnostic(
        code(rpcplugin::handshake::cookie_refused),
        help(
            "give host and plugin the same magic cookie: the same variable, and the same value in it; launch the plugin of \
             another program from that program"
        )
    )]
    CookieRefused(ExitReason),
    /// The process exited because a library that it is linked with is missing, or lacks something that the program needs.
    #[error("a library that the plugin needs is missing on this machine: {0}")]
    #[diagnostic(
        code(rpcplugin::transport::library_missing),
        help(
            "install the library that its stderr names, in the version that the program was built for, and where the \
             dynamic loader looks; or link the program statically"
        )
    )]
    LibraryMissing(ExitReason),
    /// The process closed its stdout without a handshake line, and runs on.
    #[error("the plugin closed its stdout without printing a handshake line")]
    #[diagnostic(
        code(rpcplugin::handshake::stdout_closed),
        help("print the handshake line on stdout in the plugin before stdout is closed or redirected")
    )]
    StdoutClosed,
    /// No handshake line came within the launch timeout.
    #[error("the plugin printed no handshake line within {} s", .0.as_secs_f32())]
    #[diagnostic(
        code(rpcplugin::handshake::timeout),
        help(
            "check that the program is a plugin, and that nothing delays its start; or raise the launch timeout \
             (PLUGIN_LAUNCH_TIMEOUT)"
        )
    )]
    Timeout(Duration),
    /// The process is stopped by a signal. Most often it reads from or writes to the terminal: a plugin is a
    /// background process there, and the system stops it by SIGTTIN or SIGTTOU.
    #[error("the plugin's process is stopped by {}", stopping(*.signal))]
    #[diagnostic(
        code(rpcplugin::handshake::stopped),
        help("{}", help_for_stopped(*signal))
    )]
    Stopped {
        /// The signal that has stopped the process.
        signal: Signal,
    },
    /// The line that the plugin printed is not a valid handshake line.
    #[error("the handshake line of the plugin cannot be understood")]
    #[diagnostic(code(rpcplugin::handshake::invalid_line))]
    InvalidLine(
        #[from]
        #[diagnostic_source]
        HandshakeLineError,
    ),
    /// The plugin printed more bytes without a line break than a handshake line may have.
    #[error("the plugin printed a line that is too long for a handshake line: {start:?}…")]
    #[diagnostic(
        code(rpcplugin::handshake::line_too_long),
        help(
            "check that the program is a plugin; print nothing on stdout in a plugin before the handshake line"
        )
    )]
    LineTooLong {
        /// The beginning of the line.
        start: String,
    },
    /// The plugin's stdout cannot be read.
    #[error("the stdout of the plugin cannot be read")]
    #[diagnostic(code(rpcplugin::transport::stdout), help("the cause says more"))]
    Stdout(#[source] io::Error),
    /// The plugin speaks a version of the protocol that this host does not offer.
    #[error("the plugin does not speak this host's protocol")]
    #[diagnostic(code(rpcplugin::protocol::version))]
    Version(
        #[from]
        #[diagnostic_source]
        VersionNotOffered,
    ),
    /// The plugin listens on a transport that this host does not allow.
    #[error("the plugin listens on {endpoint}, and this host does not allow {}", endpoint.network())]
    #[diagnostic(
        code(rpcplugin::transport::not_allowed),
        help(
            "allow the transport in the host (PLUGIN_CLIENT_TRANSPORTS), or let the plugin listen on another one"
        )
    )]
    Transport {
        /// The endpoint on which the plugin listens.
        endpoint: Endpoint,
    },
    /// The address that the plugin announced cannot be translated for this host.
    #[error("the plugin's address {endpoint} cannot be translated for this host")]
    #[diagnostic(
        code(rpcplugin::transport::translation),
        help("let the runner translate the addresses on which its plugins listen")
    )]
    Translate {
        /// The address that the plugin announced.
        endpoint: Endpoint,
        /// The error of the translation.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The host asked for multiplexing, and the plugin does not support it.
    #[error("the plugin cannot carry all connections over one socket")]
    #[diagnostic(
        code(rpcplugin::protocol::no_multiplexing),
        help(
            "update the plugin's library (go-plugin 1.6 or later), or switch multiplexing off in the host \
             (PLUGIN_MULTIPLEX_GRPC)"
        )
    )]
    NoMultiplexing,
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
