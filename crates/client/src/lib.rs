//! The host side: command, spawn, answer, channel, stop.
//!
//! A [`Host`] knows what it offers: a magic cookie, the versions of its protocol, and its configuration.
//! [`Host::launch`] takes a [`Command`] the whole way: it makes a one-time identity, starts the process, reads the
//! handshake line, decides on the security of the connection, dials, and makes sure that the plugin is healthy, all
//! within one deadline. What comes back is a [`Plugin`]: a tonic channel for the generated client, and the way to stop
//! it.
//!
//! A plugin's log, its output and its life can be followed by an [`Observer`]; without one they are tracing events.
//! Each failure is a [`LaunchError`] that says what happened, how the process ended, what it last wrote on stderr,
//! and what to do.

mod attach;
mod backoff;
mod command;
mod connection;
mod error;
mod exit;
mod host;
mod launch;
mod observe;
mod os;
mod plugin;
mod plugin_id;
mod process;
mod program;
mod quoted;
mod reattach;
mod set;
mod streams;
mod supervise;

pub use attach::AttachError;
pub use command::{Command, Stdin};
pub use connection::CallingPlugin;
pub use error::{LaunchError, LaunchFacts, LaunchFault, PingError, PluginReason, ReasonKind};
pub use exit::{Exit, ExitReason};
pub use host::Host;
pub use observe::{
    Event, Events, LogRecord, Observer, OutputChunk, OutputOptions, OutputSource, OutputStream,
    OverflowPolicy, PluginEvent, Writers,
};
pub use os::Signal;
pub use plugin::{LaunchTimings, MessageLimits, NotHandedOver, Plugin, PluginExited};
pub use plugin_id::PluginId;
pub use process::{ChildProcess, LaunchEnvironment, PluginProcess, Runner, StartedProcess};
#[doc(hidden)]
pub use program::format;
pub use program::{Checksum, ChecksumError, Obstacle, ProgramFile, discover};
pub use reattach::{Attachment, Handover, HandoverError};
pub use set::{Managed, PluginSet};
pub use supervise::{Generation, Supervise, SuperviseError, Supervised, SupervisionState, WhileDown};
