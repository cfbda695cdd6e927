//! What passes through `rpcplugin tap`.

#[path = "../../../../crates/cli/src/commands/tap/conn_info.rs"]
mod conn_info;
mod http2;

use std::fmt::Write as _;

use http2::{Calls, Header, Sender, What};
use rpcplugin_proto::ConnInfo;

/// Reads the pieces of both directions, `true` for those of the client, and describes what was found.
pub(crate) fn calls<'p>(pieces: impl IntoIterator<Item = (bool, &'p [u8])>) -> String {
    let mut calls = Calls::new(KEPT);
    let mut all = String::new();
    let mut read = [0_u64; 2];
    for (is_client, piece) in pieces {
        let sender = if is_client { Sender::Client } else { Sender::Server };
        let read = &mut read[usize::from(is_client)];
        *read += piece.len() as u64;
        let scanned = calls.read(sender, piece);
        assert!(scanned.hold.is_none_or(|hold| hold <= *read), "bytes are held that have not come");
        for found in scanned.found {
            let what = describe(&found.what, *read);
            let _ = writeln!(all, "{:?} {} {what}", found.call, found.method);
        }
    }
    all
}

fn describe(what: &What, read: u64) -> String {
    match what {
        What::Call { headers } => format!("call {}", shown(headers)),
        What::Headers { headers } => format!("headers {}", shown(headers)),
        What::Message(message) => {
            let kept = message.bytes.as_ref().map(Vec::len);
            assert_eq!(kept, (message.size <= KEPT).then_some(message.size));
            let parts: usize = message.parts.iter().map(|(_, length)| length).sum();
            assert_eq!(parts, kept.unwrap_or_default());
            let ends = message.parts.iter().map(|(at, length)| at + *length as u64).max();
            assert!(ends.is_none_or(|end| end <= read), "a part is beyond what was read");
            format!("message {} {} {:?}", message.size, message.is_compressed, message.bytes)
        }
        What::HalfClosed => "half closed".to_owned(),
        What::Status { trailers, .. } => format!("status {}", shown(trailers)),
        What::Reset { code, .. } => format!("reset {code}"),
        What::GoAway { code } => format!("go away {code}"),
        What::Opaque => "opaque".to_owned(),
    }
}

fn shown(headers: &[Header]) -> String {
    headers.iter().map(|header| format!("{:?}={:?};", header.name(), header.value())).collect()
}

/// Reads a message of the broker, and compares with what prost reads.
///
/// # Panics
/// If both can read it and they differ.
pub(crate) fn broker_message(bytes: &[u8]) {
    let (Some(read), Ok(known)) =
        (conn_info::ConnInfo::read(bytes), <ConnInfo as prost::Message>::decode(bytes))
    else {
        return;
    };
    // prost reads the id as 32 bits.
    assert_eq!(
        (read.id as u32, &read.network, &read.address),
        (known.service_id, &known.network, &known.address)
    );
    assert_eq!(bytes.get(read.address_at), Some(known.address.as_bytes()).filter(|_| true));
    let knock = read.knock.map(|knock| (knock.ack, knock.error));
    assert_eq!(knock, known.knock.map(|knock| (knock.ack, knock.error)));
}

/// The longest message that is kept.
const KEPT: usize = 64;
