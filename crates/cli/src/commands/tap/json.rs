//! Events as JSON, one object a line.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use rpcplugin::{hclog::Timestamp, host::ExitReason};
use serde_json::{Map, Value, json};

use super::{
    conn_info::ConnInfo,
    event::{Event, Kind, SecurityKind},
    http2::{BROKER, Found, Header, Message, What},
    schema::Described,
    status::{CallStatus, http2_error, is_public},
};

/// Returns the line of an event, with its line break.
/// With `values` it has what may be a secret, and with `encoded` each message as it was sent.
pub(super) fn line(event: &Event, types: &Described, (values, encoded): (bool, bool)) -> String {
    let (kind, Value::Object(members)) = members(event, types, (values, encoded)) else {
        return String::new();
    };
    let mut all = Map::new();
    all.insert("time".to_owned(), json!(Timestamp::from(event.at).as_str()));
    all.insert("kind".to_owned(), json!(kind));
    all.insert("from".to_owned(), json!(event.from.name()));
    if let Some(connection) = &event.connection {
        all.insert("connection".to_owned(), json!(&**connection));
    }
    if let Kind::Found(Found { call: Some(call), method, .. }) = &event.kind {
        all.insert("call".to_owned(), json!(call));
        all.insert("method".to_owned(), json!(method.trim_start_matches('/')));
    }
    all.extend(members);
    format!("{}\n", Value::Object(all))
}

/// Returns the name of an event, and its own members.
fn members(event: &Event, types: &Described, (values, encoded): (bool, bool)) -> (&'static str, Value) {
    match &event.kind {
        Kind::Started { program, args, pid } => {
            ("started", json!({ "program": program, "args": args, "pid": pid }))
        }
        Kind::Handshake { version, endpoint, security, multiplexed } => (
            "handshake",
            json!({
                "version": version,
                "network": endpoint.network(),
                "address": endpoint.address(),
                "security": match security {
                    SecurityKind::AutoMtls => "auto_mtls",
                    SecurityKind::Given => "given",
                    SecurityKind::Plain => "plain",
                },
                "multiplexed": multiplexed,
            }),
        ),
        Kind::Opened => ("opened", json!({})),
        Kind::Closed => ("closed", json!({})),
        Kind::Note(text) => ("note", json!({ "message": text })),
        Kind::Exited(reason) => ("exited", exit(reason)),
        Kind::Schema(_) => ("schema", Value::Null),
        Kind::Found(found) => match &found.what {
            What::Call { headers } => ("call", json!({ "metadata": metadata(headers, values) })),
            What::Headers { headers } => ("headers", json!({ "metadata": metadata(headers, values) })),
            What::Message(message) => ("message", content(found, message, types, (values, encoded))),
            What::HalfClosed => ("half_closed", json!({})),
            What::Status { trailers, took } => ("status", status(trailers, *took, values)),
            What::Reset { code, took } => {
                ("reset", json!({ "code": code, "name": http2_error(*code), "seconds": took.as_secs_f64() }))
            }
            What::GoAway { code } => ("goes_away", json!({ "code": code, "name": http2_error(*code) })),
            What::Opaque => ("opaque", json!({})),
        },
    }
}

fn exit(reason: &ExitReason) -> Value {
    match reason {
        ExitReason::Status(status) => json!({ "status": status }),
        ExitReason::Signal(signal) => json!({ "signal": signal.number() }),
        _ => json!({}),
    }
}

fn status(trailers: &[Header], took: Duration, values: bool) -> Value {
    let CallStatus { code, message, details } = CallStatus::of(trailers);
    json!({
        "code": code.map(|(number, _)| number),
        "name": code.map(|(_, name)| name),
        "message": message,
        "details_bytes": details,
        "seconds": took.as_secs_f64(),
        "metadata": metadata(trailers, values),
    })
}

/// Returns the headers. A value that is not of the protocol is its length, unless values are shown.
fn metadata(headers: &[Header], values: bool) -> Value {
    let shown = |header: &Header| match values || is_public(&header.name()) {
        true => json!([header.name(), header.value()]),
        false => json!([header.name(), { "bytes": header.length() }]),
    };
    headers.iter().map(shown).collect()
}

fn content(found: &Found, message: &Message, types: &Described, (values, encoded): (bool, bool)) -> Value {
    let mut members = json!({ "bytes": message.size, "compressed": message.is_compressed });
    let Some(bytes) = &message.bytes else { return members };
    let (mut is_readable, is_broker) = (false, found.method.as_ref() == BROKER);
    if let Some(info) = ConnInfo::read(bytes).filter(|_| is_broker) {
        members["broker"] = broker(&info);
        is_readable = true;
    } else if !message.is_compressed
        && let Some(json) = types.json(&found.method, message.is_request, bytes, values)
    {
        members["message"] = json;
        is_readable = true;
    }
    if encoded || values && !is_readable {
        members["base64"] = json!(STANDARD.encode(bytes));
    }
    members
}

fn broker(info: &ConnInfo) -> Value {
    match &info.knock {
        None => json!({ "id": info.id, "network": info.network, "address": info.address }),
        Some(knock) => json!({ "id": info.id, "accepts": knock.ack, "error": knock.error }),
    }
}
