//! The host side: launching plugins, attaching to them, supervising and observing them.
//!
//! A [`Host`] has a magic cookie, the versions of its protocol, and its configuration. [`Host::launch`] turns a
//! [`Command`] into a [`Plugin`] within one timeout. The launch makes an ephemeral identity, starts the process,
//! reads the handshake line, decides on the security of the connection, connects, and makes sure that the plugin is
//! healthy. A [`Plugin`] has a channel for the generated client, and the means to shut the plugin down.
//!
//! An [`Observer`] follows a plugin's log, its output and its events. Without an observer they are tracing events. A
//! failed launch is a [`LaunchError`] with the fault, the exit status, the last lines on stderr, and help.
//!
//! This crate is a part of `rpcplugin`, and its API is that of the modules there.
//!
//! # Layout
//! The modules stand in the order of a launch, the lowest first: `os`, `error`, `requirements`, `program`, `command`, `observe`,
//! `process`, `streams`, `connection`, `instances`, `reattach`, `host`, `plugin`, `launch`, `attach`, `folder`, `supervise`, `set`. Each
//! uses only those before it.
//!
//! The crate can be used alone, without a promise: its API may change with any release. The stable names of its items are in
//! `rpcplugin` and `rpcplugin::host`.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod attach;
mod backoff;
mod command;
mod connection;
mod error;
mod exit;
mod folder;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod host;
mod instances;
mod launch;
mod observe;
mod os;
mod plugin;
mod plugin_id;
mod process;
mod program;
mod quoted;
mod reattach;
mod requirements;
mod set;
mod streams;
mod supervise;

pub use attach::AttachError;
pub use command::{Command, Stdin};
pub use connection::CallingPlugin;
pub use error::{
    ConnectFault, HandshakeFault, InstanceError, LaunchError, LaunchFacts, LaunchFault, MetadataCallError,
    PingError, PluginReason, ProgramFault, ReasonKind, RequirementFault, SecurityFault, SetupFault,
    StartFault,
};
pub use exit::{Exit, ExitCause, ExitReason, ExitReport};
pub use folder::{FolderError, FolderEvent, FolderPlugin, GoneReason, SocketFolder};
pub use host::Host;
pub use instances::{InstanceRemoval, PluginInstance};
pub use observe::{
    Event, Events, LogRecord, Observer, OutputChunk, OutputOptions, OutputSource, OutputStream,
    OverflowPolicy, PluginEvent, Writers,
};
pub use os::Signal;
pub use plugin::{LaunchTimings, MessageLimits, NotHandedOver, Plugin, PluginExited};
pub use plugin_id::PluginId;
pub use process::{ChildProcess, LaunchEnvironment, PluginProcess, Runner, StartedProcess};
pub use program::{
    Checksum, ChecksumError, DiscoveredPlugin, Obstacle, ProgramFile, discover, discover_plugins,
};
pub use reattach::{Attachment, Handover, HandoverError};
pub use requirements::Requirements;
#[cfg(feature = "sandbox")]
#[cfg_attr(docsrs, doc(cfg(feature = "sandbox")))]
pub use rpcplugin_sandbox as sandbox;
pub use set::{Managed, PluginSet};
pub use supervise::{Generation, Supervise, SuperviseError, Supervised, SupervisionState, WhileDown};
