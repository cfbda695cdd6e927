//! The status of a call when HTTP/2 fails under the call.

use std::{error::Error, io::ErrorKind, sync::Arc};

use h2::Reason;
use tonic::{Code, Status};

use crate::http2::{channel::Line, connect::ConnectError, connection::Fate};

/// The status of a call under which HTTP/2 failed.
///
/// A stream that was reset is answered at once. A connection that broke is, if something knows, explained first.
pub(super) async fn status(error: h2::Error, line: &Line, fate: &Arc<Fate>) -> Status {
    if error.is_reset() {
        return of_reset(error);
    }
    // A peer that goes away may go on with earlier calls for long. This one it did not look at.
    if error.is_go_away() && error.is_remote() && !fate.was_hung_up() {
        line.link.retire(fate, &error, true);
        let mut status = Status::unavailable(format!("the peer ends the connection: {}", named(&error)));
        status.set_source(Arc::new(error));
        return line.explained(status).await;
    }
    let (over, why) = fate.end().await;
    // What this side found wrong with one stream looks as if it were wrong with the connection.
    if error.is_library() && !over {
        return of_reset(error);
    }
    let came_to_nothing = line.link.retire(fate, &error, true);
    if came_to_nothing && (error.is_library() || error.is_io() && why.is_none() && fate.was_hung_up()) {
        return line.unreachable(Arc::new(ConnectError::HangsUp)).await;
    }
    let what = match (why, error.get_io()) {
        (Some(why), Some(_)) => why.to_owned(),
        (_, Some(io)) if matches!(io.kind(), ErrorKind::BrokenPipe | ErrorKind::UnexpectedEof) => {
            "the peer hung up".to_owned()
        }
        (_, Some(io)) => io.to_string(),
        (_, None) => named(&error),
    };
    let mut status = Status::unavailable(format!("the connection broke: {what}"));
    status.set_source(Arc::new(error));
    line.explained(status).await
}

/// The status of a call whose stream was reset.
fn of_reset(error: h2::Error) -> Status {
    let who = if error.is_remote() { "the peer reset the call" } else { "the call was reset" };
    let code = error.reason().map_or(Code::Unknown, code);
    let mut status = Status::new(code, format!("{who}: {}", named(&error)));
    status.set_source(Arc::new(error));
    status
}

/// An error with the name that its code has in HTTP/2.
pub(super) fn named(error: &h2::Error) -> String {
    match error.reason() {
        // What HTTP/2 does not know has no name.
        Some(reason) if reason.description() == UNKNOWN => format!("0x{:x}, {error}", u32::from(reason)),
        Some(reason) => format!("{reason:?}, {error}"),
        None => error.to_string(),
    }
}

/// What h2 calls a code that HTTP/2 does not know.
const UNKNOWN: &str = "unknown reason";

/// gRPC's code for an error code of HTTP/2.
///
/// # Protocol
/// gRPC `PROTOCOL-HTTP2.md`, "Errors"; for the two that it leaves out, grpc-go's `http2ErrConvTab`.
fn code(reason: Reason) -> Code {
    match reason {
        Reason::NO_ERROR
        | Reason::PROTOCOL_ERROR
        | Reason::INTERNAL_ERROR
        | Reason::FLOW_CONTROL_ERROR
        | Reason::SETTINGS_TIMEOUT
        | Reason::STREAM_CLOSED
        | Reason::FRAME_SIZE_ERROR
        | Reason::COMPRESSION_ERROR
        | Reason::CONNECT_ERROR
        | Reason::HTTP_1_1_REQUIRED => Code::Internal,
        Reason::REFUSED_STREAM => Code::Unavailable,
        Reason::CANCEL => Code::Cancelled,
        Reason::ENHANCE_YOUR_CALM => Code::ResourceExhausted,
        Reason::INADEQUATE_SECURITY => Code::PermissionDenied,
        _ => Code::Unknown,
    }
}

/// Whether a call failed since its connection broke or could not be opened: not by what the peer answered, and not by a
/// stream that was reset while the connection goes on.
///
/// Knows the statuses of a [`PluginChannel`](crate::http2::PluginChannel) and of tonic's own channel.
#[must_use]
pub fn is_broken_connection(status: &Status) -> bool {
    let code = matches!(status.code(), Code::Unavailable | Code::Unknown | Code::Internal | Code::Cancelled);
    let Some(cause) = status.source().filter(|_| code) else { return false };
    let mut cause: Option<&(dyn Error + 'static)> = Some(cause);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<h2::Error>() {
            return !(error.is_reset() || error.is_library() && status.code() != Code::Unavailable);
        }
        cause = error.source();
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_of_http2_has_one_of_grpc() {
        let codes: Vec<_> = (0..=14).map(|reason| code(Reason::from(reason))).collect();
        use Code::{Cancelled, Internal, PermissionDenied, ResourceExhausted, Unavailable, Unknown};
        let expected = [
            Internal,
            Internal,
            Internal,
            Internal,
            Internal,
            Internal,
            Internal,
            Unavailable,
            Cancelled,
            Internal,
            Internal,
            ResourceExhausted,
            PermissionDenied,
            Internal,
            Unknown,
        ];
        assert_eq!(codes, expected);
    }
}
