//! The broker: further connections between a host and a plugin, beside the main one, in both directions.
//!
//! With a [`Broker`] either side serves further gRPC services and the other side calls them. One side
//! [serves](Broker::serve) under a [`ServiceId`](rpcplugin_core::ServiceId) and sends the id to the other side in a call of
//! its own. The other side [dials](Broker::dial) the id. The two brokers exchange messages on one stream over the main
//! connection. Every brokered connection is secured as the main connection is.
//!
//! - *Direct*: each service listens on a socket of its own, and the broker announces its address to the peer.
//! - *Multiplexed*: all connections are streams of one yamux session. The dialer knocks, the acceptor lets it in, and the
//!   next stream that the dialer opens is the connection.
//!
//! The crate starts no process, opens no main connection and takes no part in the handshake. The plugin adds
//! [`Broker::services`] to its main server. The host runs [`Broker::attach`] on its main channel.
//!
//! ```
//! # async fn example(security: rpcplugin_transport::Security, main_channel: rpcplugin_transport::http2::PluginChannel,
//! #     services: rpcplugin_transport::Services) -> Result<(), Box<dyn std::error::Error>> {
//! use rpcplugin_broker::{Broker, BrokerSettings, ListenAt, Role};
//! use rpcplugin_transport::SocketDir;
//!
//! let sockets = ListenAt::Unix(SocketDir::private(None)?);
//! let broker = Broker::direct(Role::Host, BrokerSettings::new(security), sockets);
//! tokio::spawn(broker.attach(main_channel));
//!
//! let callback = broker.serve(services).await?;
//! println!("the plugin can dial {}", callback.id());
//! # Ok(())
//! # }
//! ```
//!
//! The crate can be used alone, without a promise: its API may change with any release. The stable names of its items are in
//! `rpcplugin::broker`.
//!
//! # Invariants
//!
//! - A brokered connection is never less secure than the main one: one [`Security`] applies to all.
//! - A message of the peer can fail the dial that it concerns, and no other. What is kept of messages is bounded.
//! - The router matches messages and streams in one place, without I/O and without a clock, so that every order of events
//!   can be tested.
//!
//! [`Security`]: rpcplugin_transport::Security

#![cfg_attr(docsrs, feature(doc_cfg))]

mod accept;
mod broker;
mod dial;
mod error;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
mod ids;
mod message_stream;
mod router;
mod session;
mod settings;
mod shared;

pub use accept::{Incoming, ServiceHandle};
pub use broker::Broker;
pub use error::{AcceptError, DialError, Unreachable};
pub use ids::HOST_SERVICES;
pub use message_stream::DisconnectReason;
pub use session::MainStreams;
pub use settings::{BoxError, BrokerSettings, ListenAt, PeerOrigin, Role, Translate};
