//! The messages that two brokers exchange.

use rpcplugin_core::{Endpoint, ServiceId};
use rpcplugin_proto::{ConnInfo, Knock};

/// The address of a service.
pub(super) fn announcement(id: ServiceId, endpoint: &Endpoint) -> ConnInfo {
    ConnInfo {
        service_id: id.0,
        network: endpoint.network().to_owned(),
        address: endpoint.address(),
        knock: None,
    }
}

/// A request to be let in to a service.
pub(super) fn knock(id: ServiceId) -> ConnInfo {
    ConnInfo {
        service_id: id.0,
        knock: Some(Knock { knock: true, ..Knock::default() }),
        ..ConnInfo::default()
    }
}

/// Whether this is a request, and not the reply to one.
pub(super) fn is_request(knock: &Knock) -> bool {
    knock.knock && !knock.ack
}

/// The reply that lets the peer in.
pub(super) fn admission(id: ServiceId) -> ConnInfo {
    refusal(id, "")
}

pub(super) fn is_admission(message: &ConnInfo) -> bool {
    message.knock.as_ref().is_some_and(|knock| knock.knock && knock.ack && knock.error.is_empty())
}

/// The reply that turns the peer away.
///
/// # Protocol
/// go-plugin sets `ack` in a refusal too. A reply is a refusal if it has a text.
pub(super) fn refusal(id: ServiceId, error: &str) -> ConnInfo {
    let knock = Knock { knock: true, ack: true, error: error.to_owned() };
    ConnInfo { service_id: id.0, knock: Some(knock), ..ConnInfo::default() }
}

/// A message that finds out whether the peer's broker is closed. An open broker ignores it, because it is a reply to no
/// request. A closed one ends the stream. Without it, a host that only dials would wait for a reply in vain.
///
/// # Protocol
/// go-plugin `grpc_broker.go`, `StartStream`, ends at the first message after the broker was closed. An open broker in Go
/// keeps this message as a reply for the id 0, which is never dialled. pyvider's broker replies that it has no such
/// channel.
pub(super) fn probe() -> ConnInfo {
    ConnInfo { knock: Some(Knock { ack: true, ..Knock::default() }), ..ConnInfo::default() }
}

/// Reads a reply as peers in Go do: an empty error in a reply that repeats the knock lets in.
pub(super) fn verdict(knock: &Knock) -> Result<(), String> {
    if !knock.error.is_empty() {
        Err(shorten(&knock.error, MAX_REASON).to_owned())
    } else if knock.knock && knock.ack {
        Ok(())
    } else {
        Err("neither yes nor no".to_owned())
    }
}

/// Returns the start of a text from the peer, at most `length` bytes of it.
pub(super) fn shorten(text: &str, length: usize) -> &str {
    let end = (0..=length.min(text.len())).rfind(|end| text.is_char_boundary(*end)).unwrap_or(0);
    &text[..end]
}

/// The text with which a host says that it has no services for its plugins. The host sends it in reply to a knock. Without
/// multiplexing there are no knocks, and the host sends it unasked to a peer that is rpcplugin too.
///
/// # Protocol
/// A refusal as go-plugin writes it, with a text that go-plugin does not know. A plugin in Go receives it only in reply to
/// a knock.
pub(crate) const NO_HOST_SERVICES: &str = "the host lets its plugins call no services";

/// Bytes of a refusal's text that are kept.
const MAX_REASON: usize = 300;
