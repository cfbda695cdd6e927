//! Numbered side connections over the main one, direct and multiplexed, identical on both sides.
//!
//! A [`Broker`] lets either side of a plugin serve further gRPC services and the other side call them: one side
//! [serves](Broker::serve) under a [`ServiceId`](rpcplugin_core::ServiceId) and tells the other the number in a call
//! of its own; the other [dials](Broker::dial) it. What the two brokers say to each other runs on one stream of
//! messages over the main connection; every brokered connection is secured as the main one is.
//!
//! - *Direct*: each service listens on a socket of its own, and its address is announced to the peer.
//! - *Multiplexed*: all connections are streams of one yamux session. The dialer knocks, the acceptor lets it in, and the
//!   next stream that the dialer opens is the connection.
//!
//! What it does not do: it starts no process, opens no main connection and takes part in no handshake. The plugin
//! registers [`Broker::services`] on its main server, the host runs [`Broker::attach`] on its main channel.
//!
//! ```
//! # async fn example(security: rpcplugin_transport::Security, main_channel: rpcplugin_transport::http2::PluginChannel,
//! #     services: rpcplugin_transport::Services) -> Result<(), Box<dyn std::error::Error>> {
//! use rpcplugin_broker::{Broker, BrokerSettings, Place, Side};
//! use rpcplugin_transport::SocketDir;
//!
//! let sockets = Place::Unix(SocketDir::private(None)?);
//! let broker = Broker::direct(Side::Host, BrokerSettings::new(security), sockets);
//! tokio::spawn(broker.attach(main_channel));
//!
//! let callback = broker.serve(services).await?;
//! println!("tell the plugin to dial {}", callback.id());
//! # Ok(())
//! # }
//! ```
//!
//! # Invariants
//!
//! - A brokered connection is never less secure than the main one: there is one [`Security`] for all.
//! - What a peer sends can fail the dial it concerns, and nothing else. All that is kept of it is bounded.
//! - Messages and streams are matched in one place without I/O or clock, so that every order of events can be tested.
//!
//! [`Security`]: rpcplugin_transport::Security

mod broker;
mod dial;
mod error;
mod link;
mod router;
mod serve;
mod settings;
mod shared;
mod streams;

pub use broker::{Broker, HOST_SERVICES};
pub use error::{DialError, ServeError, Unreachable};
pub use link::Detached;
pub use serve::{Brokered, Incoming};
pub use settings::{Arrival, BoxError, BrokerSettings, Place, Side, Translate};
pub use streams::MainStreams;

/// The way in for the fuzzer.
#[cfg(fuzzing)]
pub mod fuzzing {
    pub use crate::router::events::{Event, run};
}
