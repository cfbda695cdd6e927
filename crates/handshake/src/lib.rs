//! The handshake between a host and a plugin: two values, written as text.
//!
//! The [`HostEnv`] goes down once, as environment variables of the plugin's process; the [`HandshakeLine`] comes up once, as
//! one line on its standard output. Between them both sides learn everything they need to open a channel: which
//! version of the application's protocol to speak, where, under which certificates, and whether brokered
//! connections share one socket. Nothing else crosses before the channel.
//!
//! A host that attaches to a plugin which it did not start has a [`ReattachConfig`] instead, which is written as JSON.
//!
//! This crate turns these values into text and back. It reads no environment (a lookup function is passed in),
//! prints nothing, opens nothing: it is the part that is property-tested and fuzzed.
//!
//! ```
//! use rpcplugin_core::{AppVersion, Versions};
//! use rpcplugin_handshake::{HandshakeLine, negotiate};
//!
//! let answer = HandshakeLine::parse("1|3|unix|/tmp/plugin2654984751|grpc|")?;
//! assert_eq!(answer.version, AppVersion(3));
//!
//! let chosen = negotiate(Some(&Versions::new([1, 2])?), &Versions::new([2, 3])?);
//! assert_eq!(chosen.version, AppVersion(2));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Protocol
//! go-plugin `client.go` `Client.Start` and `server.go` `Serve`, v1.0.0 to v1.8.0.

mod cookie_check;
mod go_strconv;
mod handshake_line;
mod host_env;
mod negotiation;
mod reattach;

pub use cookie_check::{CookieRefused, check_cookie};
pub use handshake_line::{HandshakeLine, HandshakeLineError, HandshakeLineFault, Multiplexing};
pub use host_env::{HostEnv, HostEnvFault, ReceivedEnv, variable};
pub use negotiation::{Negotiated, VersionNotOffered, accept_version, negotiate};
pub use reattach::{ReattachConfig, ReattachConfigs, ReattachError};
pub use rpcplugin_core::{PortRange, PortRangeError, TcpPorts};
