//! The plugin side: offer, listen, answer, serve, stop.
//!
//! [`Serve`] holds what a plugin serves. [`Serve::run`] goes the whole way: it checks the magic cookie, reads the
//! host's offer from the environment, agrees on a version, binds a socket, makes a one-time identity where the host
//! asks for mutual TLS, prints the handshake line, serves until the host or the system ends it, and drains.
//!
//! Beside the plugin's own services, the host finds health, reflection, stdio (what the plugin writes to its standard
//! output and error), the broker for side connections, and the controller that ends the plugin.
//!
//! The steps are values too, for those who need to stand between them: [`Serve::bind`] gives a [`Bound`] plugin,
//! [`Bound::announce`] an [`Announced`] one, which alone can [serve](Announced::serve). A plugin for hosts that did not
//! start it, as in tests and under a debugger, is [`Attachable`].

mod attachable;
mod context;
mod controller;
mod ending;
mod error;
mod health;
mod host_watch;
mod life;
mod listening;
mod logging;
mod mux_listener;
mod output;
mod own_runtime;
mod own_transport;
mod protocol;
mod rate_limit;
mod readiness;
mod real_stderr;
mod reflection;
mod security;
mod serve;
mod served;
mod shutdown_file;
mod signals;
mod stages;
mod stdio;
mod under_way;

pub use attachable::Attachable;
pub use context::{HostFacts, PluginContext};
pub use ending::{Cause, Ending};
pub use error::ServeError;
pub use health::{Health, ServingStatus};
pub use logging::hclog_layer;
pub use own_transport::{BoxError, Transport};
pub use protocol::{BasicProtocol, Protocol};
pub use rate_limit::{RateLimit, RateLimited};
pub use readiness::{NotReady, Readiness};
pub use real_stderr::RealStderr;
pub use serve::Serve;
pub use stages::{Announced, Bound, Served};
