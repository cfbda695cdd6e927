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

mod answer_line;
mod attach;
mod callbacks;
mod checksum;
mod child;
mod command;
mod connection;
mod diagnosis;
mod discover;
mod ended;
mod error;
mod events;
mod exit;
mod feed;
mod guard;
mod host;
mod identity;
mod image;
mod launch;
mod life;
mod logs;
mod observer;
mod output;
mod plugin;
mod process;
mod program_file;
mod queue;
mod quoted;
mod reason;
mod remains;
mod retry;
mod runner;
mod secret;
mod services;
mod set;
mod sockets;
mod stdio;
mod steps;
mod supervise;
mod tail;

pub use attach::{AttachError, Attachment, Handover, HandoverError, NotHandedOver};
pub use callbacks::Caller;
pub use checksum::{Checksum, ChecksumError};
pub use child::ChildProcess;
pub use command::{Command, Stdin};
pub use discover::discover;
pub use ended::PluginExited;
pub use error::{LaunchError, LaunchFacts, LaunchFault, PingError};
pub use events::{Event, Events, PluginEvent};
pub use exit::{Exit, ExitReason};
pub use host::Host;
pub use identity::PluginId;
pub use logs::LogRecord;
pub use observer::Observer;
pub use output::{Output, OutputChunk, OutputOptions, OutputSource, Writers};
pub use plugin::Plugin;
pub use program_file::{Obstacle, ProgramFile};
pub use queue::OverflowPolicy;
pub use reason::{PluginReason, ReasonKind};
pub use runner::{LaunchEnvironment, Runner, Running, Started};
pub use set::{Managed, PluginSet};
pub use steps::LaunchTimings;
pub use supervise::{Generation, Supervise, SuperviseError, Supervised, SupervisionState, WhileDown};
