//! Events as lines for people.

use std::fmt::Write as _;

use rpcplugin::{error::Visible, hclog::Timestamp, host::ExitReason};

use super::{
    conn_info::ConnInfo,
    event::{Event, Kind, SecurityKind, Side},
    http2::{BROKER, Found, Header, Message, What},
    schema::Described,
    status::{CallStatus, http2_error, is_public},
};
use crate::ui::{duration, style::on_one_line};

/// Returns the line of an event, with its line break.
///
/// `12:03:04.123456 main → 3 kv.Store/Get 5 B {"key":"<3 characters>"}`: the time in UTC, the connection, the direction (→ comes from the
/// host), the number of the call, the method, and what came.
pub(super) fn line(event: &Event, types: &Described, values: bool) -> String {
    let time = Timestamp::from(event.at);
    let time = time.as_str().get(11..26).unwrap_or_default();
    let arrow = match event.from {
        Side::Host => '→',
        Side::Plugin => '←',
    };
    let connection = event.connection.as_deref().unwrap_or("plugin");
    let mut line = format!("{time} {connection} {arrow} ");
    describe(&mut line, event, types, values);
    // A peer's text is one line, and does not affect a terminal.
    format!("{}\n", Visible(&on_one_line(line.trim_end())))
}

fn describe(line: &mut String, event: &Event, types: &Described, values: bool) {
    // Writing to a String does not fail.
    let _ = match &event.kind {
        Kind::Started { program, args, pid } => {
            let args: String = args.iter().map(|arg| format!(" {arg}")).collect();
            let pid = pid.map(|pid| format!(" as process {pid}")).unwrap_or_default();
            write!(line, "started {program}{args}{pid}")
        }
        Kind::Handshake { version, endpoint, security, multiplexed } => {
            let tls = match security {
                SecurityKind::AutoMtls => "AutoMTLS",
                SecurityKind::Given => "given certificates",
                SecurityKind::Plain => "no AutoMTLS",
            };
            let mux = if *multiplexed { ", multiplexed" } else { "" };
            let (network, address) = (endpoint.network(), endpoint.address());
            write!(line, "handshake: version {version}, {network} {address}, {tls}{mux}")
        }
        Kind::Opened => write!(line, "connection opened"),
        Kind::Closed => write!(line, "connection closed"),
        Kind::Note(text) => write!(line, "note: {text}"),
        Kind::Exited(ExitReason::Unknown) => write!(line, "exited"),
        Kind::Exited(reason) => write!(line, "exited: {reason}"),
        Kind::Schema(_) => Ok(()),
        Kind::Found(found) => {
            call(line, found);
            what(line, found, event.from, types, values);
            Ok(())
        }
    };
}

/// Writes the number and the method of a call.
fn call(line: &mut String, found: &Found) {
    if let Some(number) = found.call {
        let _ = write!(line, "{number} {} ", found.method.trim_start_matches('/'));
    }
}

fn what(line: &mut String, found: &Found, from: Side, types: &Described, values: bool) {
    let _ = match &found.what {
        What::Call { headers } => write!(line, "call{}", metadata(headers, values)),
        What::Headers { headers } => write!(line, "headers{}", metadata(headers, values)),
        What::Message(message) => {
            let text = content(found, message, types, values);
            write!(line, "{} B {text}", message.size)
        }
        What::HalfClosed => write!(line, "no more messages"),
        What::Status { trailers, took } => {
            let status = CallStatus::of(trailers);
            let name = status.code.map_or("ended without a status", |(_, name)| name);
            let mut text = format!("{name} after {}", duration::show(*took));
            if !status.message.is_empty() {
                let _ = write!(text, ": {}", status.message);
            }
            if status.details > 0 {
                let _ = write!(text, " (details: {} B)", status.details);
            }
            write!(line, "{text}{}", metadata(trailers, values))
        }
        What::Reset { code, took } => {
            write!(line, "reset ({}) after {}", http2_error(*code), duration::show(*took))
        }
        What::GoAway { code } => write!(line, "goes away ({})", http2_error(*code)),
        What::Opaque => write!(
            line,
            "note: the bytes from the {} cannot be read, and pass as they are: TLS with certificates of its own, or not HTTP/2",
            from.name()
        ),
    };
}

/// Returns the metadata of a call: what is not of the protocol.
fn metadata(headers: &[Header], values: bool) -> String {
    let mut text = String::new();
    let own = headers.iter().filter(|header| !is_public(&header.name()) && header.name() != DETAILS);
    for header in own {
        let value = if values { header.value().into_owned() } else { format!("<{} bytes>", header.length()) };
        let _ = write!(text, " {}={value}", header.name());
    }
    if let Some(timeout) = super::http2::value(headers, "grpc-timeout") {
        let _ = write!(text, " grpc-timeout={timeout}");
    }
    text
}

fn content(found: &Found, message: &Message, types: &Described, values: bool) -> String {
    let Some(bytes) = &message.bytes else { return "(too long to be shown)".to_owned() };
    if message.is_compressed {
        return "(compressed)".to_owned();
    }
    if found.method.as_ref() == BROKER
        && let Some(info) = ConnInfo::read(bytes)
    {
        return broker(&info);
    }
    let json = types.json(&found.method, message.is_request, bytes, values);
    json.map(|json| shortened(&json.to_string())).unwrap_or_default()
}

/// Describes a message of the broker.
pub(super) fn broker(info: &ConnInfo) -> String {
    match &info.knock {
        None => format!("serves {} at {} {}", info.id, info.network, info.address),
        Some(knock) if !knock.error.is_empty() => format!("refuses {}: {}", info.id, knock.error),
        Some(knock) if knock.ack => format!("accepts {}", info.id),
        Some(_) => format!("asks for {}", info.id),
    }
}

/// Cuts a long text.
fn shortened(text: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        Some((at, _)) => format!("{}… ({} characters)", &text[..at], text.chars().count()),
        None => text.to_owned(),
    }
}

const DETAILS: &str = "grpc-status-details-bin";

/// The longest message in characters. `--json` shows all of it.
const LONGEST: usize = 2000;
