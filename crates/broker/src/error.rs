//! Why a brokered service cannot be accepted or dialled.

use std::time::Duration;

use rpcplugin_core::{EndpointError, ServiceId};
use rpcplugin_transport::{BindError, http2::ChannelError, yamux};

use crate::settings::BoxError;

/// The peer's broker cannot be reached.
#[derive(Debug, Clone, thiserror::Error, miette::Diagnostic)]
#[non_exhaustive]
pub enum Unreachable {
    /// This side's broker is closed.
    #[error("the broker is closed")]
    #[diagnostic(
        code(rpcplugin::protocol::broker_closed),
        help("use the broker before the plugin is shut down or handed over")
    )]
    Closed,
    /// The peer does not serve `plugin.GRPCBroker`.
    #[error("the peer has no broker")]
    #[diagnostic(
        code(rpcplugin::protocol::broker_missing),
        help(
            "register the plugin.GRPCBroker service in the plugin; rpcplugin and go-plugin do so themselves"
        )
    )]
    NoBroker,
    /// The peer accepts the broker's stream and ends it at the first message.
    #[error("the peer's broker is closed")]
    #[diagnostic(
        code(rpcplugin::protocol::broker_closed_by_peer),
        help(
            "launch the plugin again instead of attaching to it: the broker of a plugin in Go closes with its first \
             host"
        )
    )]
    PeerClosed,
    /// There is no stream between the brokers.
    #[error("there was no broker stream to the peer within {} s", .0.as_secs_f32())]
    #[diagnostic(
        code(rpcplugin::protocol::broker_no_stream),
        help("use the broker while a host is connected: the host opens the stream when it connects")
    )]
    NoStream(Duration),
    /// The stream between the brokers ended while a reply was awaited on it.
    #[error("the broker stream to the peer ended")]
    #[diagnostic(
        code(rpcplugin::protocol::broker_stream_ended),
        help("try again when the peer is connected again; if it has exited, launch the plugin again")
    )]
    StreamEnded,
    /// The broker is in direct mode.
    #[error("the broker does not multiplex")]
    #[diagnostic(
        code(rpcplugin::protocol::broker_not_multiplexed),
        help("open main streams only if the handshake line says that the connection is multiplexed")
    )]
    NotMultiplexed,
    /// The connection that carries all others has ended.
    #[error("the multiplexed connection to the peer ended")]
    #[diagnostic(
        code(rpcplugin::protocol::broker_session_ended),
        help("launch the plugin again: the peer has exited or violated the protocol")
    )]
    Session(#[source] yamux::Error),
}

/// A service cannot be served.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[non_exhaustive]
pub enum AcceptError {
    /// The service cannot be announced to the peer.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Unreachable(#[from] Unreachable),
    /// This side already serves the id.
    #[error("service {id} is already served")]
    #[diagnostic(
        code(rpcplugin::protocol::broker_id_in_use),
        help("stop the first service, or let the broker choose the id")
    )]
    IdInUse {
        /// The id.
        id: ServiceId,
    },
    /// The service cannot listen.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Bind(#[from] BindError),
    /// The address has no equivalent for the peer.
    #[error("the address of service {id} cannot be translated for the peer")]
    #[diagnostic(
        code(rpcplugin::protocol::broker_announce_translation),
        help("make this side's sockets reachable for the peer in `Translate::announce_as`")
    )]
    Translate {
        /// The service.
        id: ServiceId,
        /// The error of the translation.
        source: BoxError,
    },
}

/// A service cannot be dialled.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[non_exhaustive]
pub enum DialError {
    /// The peer cannot be asked.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Unreachable(#[from] Unreachable),
    /// The peer did not announce the address of the service in time.
    #[error("the peer announced no address for service {id} within {} s", waited.as_secs_f32())]
    #[diagnostic(
        code(rpcplugin::protocol::broker_no_address),
        help(
            "serve the id in the peer before this side dials it, or soon after; a peer in Go accepts one dial per \
             Accept, and none after its connection has broken: then launch it again"
        )
    )]
    NoAddress {
        /// The service.
        id: ServiceId,
        /// How long this side waited.
        waited: Duration,
    },
    /// The peer did not reply to the knock in time.
    #[error("the peer did not reply to the knock for service {id} within {} s", waited.as_secs_f32())]
    #[diagnostic(
        code(rpcplugin::protocol::broker_no_reply),
        help("serve the id in the peer before this side dials it, or soon after")
    )]
    NoReply {
        /// The service.
        id: ServiceId,
        /// How long this side waited.
        waited: Duration,
    },
    /// The peer has refused the knock.
    #[error("the peer refused the knock for service {id}: {reason:?}")]
    #[diagnostic(
        code(rpcplugin::protocol::broker_refused),
        help(
            "serve the id in the peer before this side dials it, or soon after, and for as long as it is used"
        )
    )]
    Refused {
        /// The service.
        id: ServiceId,
        /// The start of the peer's text.
        reason: String,
    },
    /// The host has no services for its plugins.
    #[error("the host has no services for its plugins")]
    #[diagnostic(
        code(rpcplugin::protocol::broker_no_host_services),
        help("serve them with `Host::callbacks` in the host, or do not call them in the plugin")
    )]
    NoHostServices,
    /// The peer has announced a text that is not an address.
    #[error("the peer announced an invalid address for service {id}")]
    #[diagnostic(
        code(rpcplugin::protocol::broker_invalid_address),
        help("announce a Unix socket or a TCP address in the peer")
    )]
    InvalidAddress {
        /// The service.
        id: ServiceId,
        /// What is wrong with the address.
        source: EndpointError,
    },
    /// The peer's address has no equivalent on this side.
    #[error("the address of service {id} cannot be translated for this side")]
    #[diagnostic(
        code(rpcplugin::protocol::broker_dial_translation),
        help("make the peer's sockets reachable for this side in `Translate::dial_as`")
    )]
    Translate {
        /// The service.
        id: ServiceId,
        /// The error of the translation.
        source: BoxError,
    },
    /// The connection failed.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Connect(#[from] ChannelError),
}

#[cfg(test)]
mod tests {
    use std::io;

    use miette::Diagnostic;
    use rpcplugin_core::Endpoint;

    use super::*;

    /// Checks the text and the code of an error, that it has a help, and that its text does not repeat its cause.
    #[track_caller]
    fn check(error: &dyn Diagnostic, code: &str, says: &str) {
        let shown = error.to_string();
        assert_eq!(shown, says);
        let full = if code.contains("::") { code.to_owned() } else { format!("rpcplugin::protocol::{code}") };
        assert_eq!(error.code().map(|code| code.to_string()), Some(full));
        assert!(error.help().is_some_and(|help| !help.to_string().is_empty()), "{shown}");
        if let Some(source) = error.source() {
            assert!(!shown.contains(&source.to_string()), "{shown}");
        }
    }

    #[test]
    fn every_error_says_what_failed() {
        let (id, waited) = (ServiceId(7), Duration::from_millis(1500));
        let endpoint = Endpoint::parse("unix", "/p").expect("a path");
        let refused = || io::Error::from(io::ErrorKind::ConnectionRefused);
        let invalid = EndpointError::UnknownNetwork { network: "pipe".to_owned() };

        check(&Unreachable::Closed, "broker_closed", "the broker is closed");
        check(&Unreachable::NoBroker, "broker_missing", "the peer has no broker");
        check(&Unreachable::PeerClosed, "broker_closed_by_peer", "the peer's broker is closed");
        check(
            &Unreachable::NoStream(waited),
            "broker_no_stream",
            "there was no broker stream to the peer within 1.5 s",
        );
        check(&Unreachable::StreamEnded, "broker_stream_ended", "the broker stream to the peer ended");
        check(&Unreachable::NotMultiplexed, "broker_not_multiplexed", "the broker does not multiplex");
        let ended = Unreachable::Session(yamux::Error::PeerClosed);
        check(&ended, "broker_session_ended", "the multiplexed connection to the peer ended");

        check(&AcceptError::from(Unreachable::Closed), "broker_closed", "the broker is closed");
        check(&AcceptError::IdInUse { id }, "broker_id_in_use", "service 7 is already served");
        let bind = BindError::Refused { endpoint: endpoint.clone(), source: refused() };
        check(&AcceptError::from(bind), "rpcplugin::transport::cannot_bind", "cannot listen on unix:/p");
        let translate = AcceptError::Translate { id, source: "not mounted".into() };
        check(
            &translate,
            "broker_announce_translation",
            "the address of service 7 cannot be translated for the peer",
        );

        check(&DialError::from(Unreachable::Closed), "broker_closed", "the broker is closed");
        let no_address = DialError::NoAddress { id, waited };
        check(&no_address, "broker_no_address", "the peer announced no address for service 7 within 1.5 s");
        let no_reply = DialError::NoReply { id, waited };
        check(&no_reply, "broker_no_reply", "the peer did not reply to the knock for service 7 within 1.5 s");
        let refused_by_peer = DialError::Refused { id, reason: "\u{1b}[1mno".to_owned() };
        check(
            &refused_by_peer,
            "broker_refused",
            "the peer refused the knock for service 7: \"\\u{1b}[1mno\"",
        );
        check(
            &DialError::NoHostServices,
            "broker_no_host_services",
            "the host has no services for its plugins",
        );
        let address = DialError::InvalidAddress { id, source: invalid };
        check(&address, "broker_invalid_address", "the peer announced an invalid address for service 7");
        let translate = DialError::Translate { id, source: "not mounted".into() };
        check(
            &translate,
            "broker_dial_translation",
            "the address of service 7 cannot be translated for this side",
        );
        let dial = rpcplugin_transport::ConnectError { endpoint, source: refused() };
        check(
            &DialError::from(ChannelError::from(dial)),
            "rpcplugin::transport::cannot_connect",
            "cannot connect to unix:/p",
        );
    }
}
