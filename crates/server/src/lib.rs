//! The plugin side: handshake, listen, serve, shut down.
//!
//! [`Serve`] holds what a plugin serves. [`Serve::main`] and [`Serve::run`] do everything: they check the magic cookie, read
//! the host's part of the handshake from the environment, agree on a version, bind a socket, make an ephemeral identity if the
//! host asks for mutual TLS, print the handshake line, serve until the shutdown, and drain.
//!
//! Beside the plugin's own services, the host finds health, reflection, stdio (the plugin's stdout and stderr), the broker for
//! further connections, and the controller, by which it shuts the plugin down.
//!
//! The steps are values too: [`Serve::bind`] returns a [`Bound`] plugin, and [`Bound::announce`] an [`Announced`] one, which can
//! [serve](Announced::serve). [`Attachable`] is a plugin in test mode, which a person starts. [`InProcessPlugin`] is a plugin in
//! the process of its host, for tests.
//!
//! The crate can be used alone, without a promise: its API may change with any release. The stable names of its items are in
//! `rpcplugin` and `rpcplugin::plugin`.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod context;
mod environment;
mod error;
mod in_process;
mod instances;
mod layers;
mod lifecycle;
mod listen;
mod logging;
mod os;
mod protocol;
mod readiness;
mod run;
mod security;
mod serve;
mod services;
mod shutdown;
mod span;
mod stdio;
mod test_mode;
mod watchdog;

pub use context::{HostFacts, PluginContext};
pub use error::ServeError;
pub use in_process::{InProcessPlugin, PluginOutput};
pub use instances::{Instance, InstanceSpec, Instances};
#[cfg(feature = "rate-limit")]
pub use layers::{RateLimit, RateLimited};
pub use lifecycle::{Announced, Bound, Served};
pub use listen::CustomTransport;
pub use logging::{PanicOutput, hclog_layer};
pub use protocol::{BasicProtocol, Protocol};
pub use readiness::{NotReady, Readiness};
pub use rpcplugin_broker::BoxError;
pub use serve::Serve;
pub use services::{Health, ServingStatus};
pub use shutdown::{Shutdown, ShutdownCause};
pub use stdio::OriginalStderr;
pub use test_mode::Attachable;
