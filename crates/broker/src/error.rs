//! Why a brokered connection cannot be served or dialled.

use std::time::Duration;

use rpcplugin_core::{EndpointError, ServiceId};
use rpcplugin_transport::{BindError, http2::ChannelError, yamux};

use crate::settings::BoxError;

/// The peer's broker cannot be spoken to.
#[derive(Debug, Clone, thiserror::Error, miette::Diagnostic)]
#[non_exhaustive]
pub enum Unreachable {
    /// This side's broker is closed.
    #[error("the broker is closed")]
    #[diagnostic(
        code(rpcplugin::protocol::broker_closed),
        help("the plugin has been shut down or let go; serve and dial while it is in use")
    )]
    Closed,
    /// The peer does not know the broker's service.
    #[error("the peer has no broker")]
    #[diagnostic(
        code(rpcplugin::protocol::broker_missing),
        help(
            "whoever builds the plugin has to register the plugin.GRPCBroker service; rpcplugin and go-plugin do"
        )
    )]
    NoBroker,
    /// The peer accepts the broker's stream and ends it at the first message.
    #[error("the peer's broker is closed for good")]
    #[diagnostic(
        code(rpcplugin::protocol::broker_dead),
        help(
            "the broker of a plugin built with Go does not outlive its first host: start the plugin anew instead of \
             attaching to it again"
        )
    )]
    PeerClosed,
    /// There is no stream between the brokers.
    #[error("there was no broker stream to the peer within {} s", .0.as_secs_f32())]
    #[diagnostic(
        code(rpcplugin::protocol::broker_no_stream),
        help("the host opens this stream when it connects: use the broker only while a host is connected")
    )]
    NoStream(Duration),
    /// The stream between the brokers ended while something was awaited from it.
    #[error("the broker stream to the peer ended")]
    #[diagnostic(
        code(rpcplugin::protocol::broker_stream_ended),
        help("the peer has ended, or gone away from this connection: try again when it is back")
    )]
    StreamEnded,
    /// This broker's connections have no session in common.
    #[error("this broker does not multiplex")]
    #[diagnostic(
        code(rpcplugin::protocol::broker_not_multiplexed),
        help("open the main connection as the handshake says: multiplexed only if both sides agreed to it")
    )]
    NotMultiplexed,
    /// The one connection that carries all others ended.
    #[error("the multiplexed connection to the peer ended")]
    #[diagnostic(
        code(rpcplugin::protocol::broker_session_ended),
        help("the peer has ended or broke the protocol; start the plugin anew")
    )]
    Session(#[source] yamux::Error),
}

/// A service cannot be served.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[non_exhaustive]
pub enum ServeError {
    /// Nobody could hear of it.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Unreachable(#[from] Unreachable),
    /// This side serves something under the same id.
    #[error("service {id} is served already")]
    #[diagnostic(
        code(rpcplugin::protocol::broker_id_in_use),
        help("stop serving it first, or let the broker choose the id")
    )]
    InUse {
        /// The id.
        id: ServiceId,
    },
    /// There is no place to listen.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Bind(#[from] BindError),
    /// The address cannot be told to the peer.
    #[error("the address of service {id} cannot be translated")]
    #[diagnostic(
        code(rpcplugin::protocol::broker_translation),
        help("whoever wrote the address translation has to make this side's sockets reachable for the peer")
    )]
    Translate {
        /// The service.
        id: ServiceId,
        /// What the translation says.
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
    /// The peer never said where the service is.
    #[error("the peer announced no address for service {id} within {} s", waited.as_secs_f32())]
    #[diagnostic(
        code(rpcplugin::protocol::broker_unannounced),
        help(
            "the peer has to serve an id before, or soon after, this side dials it; a Go peer serves one dial per \
             Accept, and none once the connection to it broke: then start it anew"
        )
    )]
    Unannounced {
        /// The service.
        id: ServiceId,
        /// For how long this side waited.
        waited: Duration,
    },
    /// The peer did not answer the knock.
    #[error("the peer did not answer the knock for service {id} within {} s", waited.as_secs_f32())]
    #[diagnostic(
        code(rpcplugin::protocol::broker_unanswered),
        help("the peer has to serve an id before, or soon after, this side dials it")
    )]
    Unanswered {
        /// The service.
        id: ServiceId,
        /// For how long this side waited.
        waited: Duration,
    },
    /// The peer does not let this side in.
    #[error("the peer turned the knock for service {id} away, saying {reason:?}")]
    #[diagnostic(
        code(rpcplugin::protocol::broker_refused),
        help(
            "the peer has to serve an id before, or soon after, this side dials it, and as long as it is used"
        )
    )]
    Refused {
        /// The service.
        id: ServiceId,
        /// What the peer says, shortened.
        reason: String,
    },
    /// The host lets its plugins call nothing.
    #[error("the host offers its plugins no services")]
    #[diagnostic(
        code(rpcplugin::protocol::broker_nothing_offered),
        help("give the host's services to Host::callbacks, or do not call them")
    )]
    NothingOffered,
    /// The peer announced what is no address.
    #[error("the peer announced an address for service {id} that cannot be dialled")]
    #[diagnostic(
        code(rpcplugin::protocol::broker_address),
        help("the peer has to announce a Unix socket or a TCP address")
    )]
    Address {
        /// The service.
        id: ServiceId,
        /// What is wrong with it.
        source: EndpointError,
    },
    /// The peer's address means nothing on this side.
    #[error("the address of service {id} cannot be translated")]
    #[diagnostic(
        code(rpcplugin::protocol::broker_translation),
        help("whoever wrote the address translation has to make the peer's sockets reachable for this side")
    )]
    Translate {
        /// The service.
        id: ServiceId,
        /// What the translation says.
        source: BoxError,
    },
    /// The connection could not be made.
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

    /// Every error names itself, says who must do what, and leaves its cause to its source.
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
        check(&Unreachable::PeerClosed, "broker_dead", "the peer's broker is closed for good");
        check(
            &Unreachable::NoStream(waited),
            "broker_no_stream",
            "there was no broker stream to the peer within 1.5 s",
        );
        check(&Unreachable::StreamEnded, "broker_stream_ended", "the broker stream to the peer ended");
        check(&Unreachable::NotMultiplexed, "broker_not_multiplexed", "this broker does not multiplex");
        let ended = Unreachable::Session(yamux::Error::PeerClosed);
        check(&ended, "broker_session_ended", "the multiplexed connection to the peer ended");

        check(&ServeError::from(Unreachable::Closed), "broker_closed", "the broker is closed");
        check(&ServeError::InUse { id }, "broker_id_in_use", "service 7 is served already");
        let bind = BindError::Refused { endpoint: endpoint.clone(), source: refused() };
        check(&ServeError::from(bind), "rpcplugin::transport::cannot_bind", "cannot listen on unix:/p");
        let translate = ServeError::Translate { id, source: "not mounted".into() };
        check(&translate, "broker_translation", "the address of service 7 cannot be translated");

        check(&DialError::from(Unreachable::Closed), "broker_closed", "the broker is closed");
        let unannounced = DialError::Unannounced { id, waited };
        check(&unannounced, "broker_unannounced", "the peer announced no address for service 7 within 1.5 s");
        let unanswered = DialError::Unanswered { id, waited };
        check(
            &unanswered,
            "broker_unanswered",
            "the peer did not answer the knock for service 7 within 1.5 s",
        );
        let turned_away = DialError::Refused { id, reason: "\u{1b}[1mno".to_owned() };
        check(
            &turned_away,
            "broker_refused",
            "the peer turned the knock for service 7 away, saying \"\\u{1b}[1mno\"",
        );
        check(
            &DialError::NothingOffered,
            "broker_nothing_offered",
            "the host offers its plugins no services",
        );
        let address = DialError::Address { id, source: invalid };
        check(
            &address,
            "broker_address",
            "the peer announced an address for service 7 that cannot be dialled",
        );
        let translate = DialError::Translate { id, source: "not mounted".into() };
        check(&translate, "broker_translation", "the address of service 7 cannot be translated");
        let dial = rpcplugin_transport::ConnectError { endpoint, source: refused() };
        check(
            &DialError::from(ChannelError::from(dial)),
            "rpcplugin::transport::cannot_connect",
            "cannot connect to unix:/p",
        );
    }
}
