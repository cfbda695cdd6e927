//! The status of a call when HTTP/2 fails under the call.

use std::{error::Error as _, io::ErrorKind, sync::Arc};

use rpcplugin_core::causes;
use tonic::{Code, Status};

use super::{
    connect::ChannelError,
    connection::ConnectionState,
    peer::Peer,
    reason::{code, named},
    wire::WireError,
};
use crate::lane::LaneError;

/// Returns the status of a call under which HTTP/2 failed.
///
/// For a stream that was reset, the status is returned at once. For a connection that broke, it is explained first.
pub(super) async fn status(error: WireError, peer: &Peer, connection: &Arc<ConnectionState>) -> Status {
    if error.is_reset() {
        return reset_status(error);
    }
    // A peer that sends GOAWAY may continue earlier calls for long. It has not processed this call.
    if error.is_go_away() && error.is_remote() && !connection.has_hung_up() {
        peer.connection.retire(connection, &error, true);
        let mut status = Status::unavailable(format!("the peer ends the connection: {}", named(&error)));
        status.set_source(error.into_source());
        return peer.explained(status).await;
    }
    let (ended, cause) = connection.ended().await;
    // A fault that this side found in one stream looks like a fault of the connection.
    if error.is_library() && !ended {
        return reset_status(error);
    }
    let broke_unused = peer.connection.retire(connection, &error, true);
    if broke_unused && (error.is_library() || error.is_io() && cause.is_none() && connection.has_hung_up()) {
        return peer.unreachable(Arc::new(ChannelError::HangsUp)).await;
    }
    let what = match (cause, error.get_io()) {
        (Some(cause), Some(_)) => cause.to_owned(),
        (_, Some(io)) if matches!(io.kind(), ErrorKind::BrokenPipe | ErrorKind::UnexpectedEof) => {
            "the peer hung up".to_owned()
        }
        (_, Some(io)) => io.to_string(),
        (_, None) => named(&error),
    };
    let mut status = Status::unavailable(format!("the connection broke: {what}"));
    status.set_source(error.into_source());
    peer.explained(status).await
}

/// Returns the status of a call whose stream was reset.
fn reset_status(error: WireError) -> Status {
    let who = if error.is_remote() { "the peer reset the call" } else { "the call was reset" };
    let code = error.reason().map_or(Code::Unknown, code);
    let mut status = Status::new(code, format!("{who}: {}", named(&error)));
    status.set_source(error.into_source());
    status
}

/// Whether a call failed because its connection broke or could not be opened. This is false if the peer answered with
/// an error, and if the stream was reset while the connection goes on.
///
/// Knows the statuses of a [`PluginChannel`](crate::http2::PluginChannel) and of tonic's own channel.
#[must_use]
pub fn is_broken_connection(status: &Status) -> bool {
    let code = matches!(status.code(), Code::Unavailable | Code::Unknown | Code::Internal | Code::Cancelled);
    if !code || status.source().is_none() {
        return false;
    }
    for cause in causes(status) {
        let (is_reset, is_library) =
            match (cause.downcast_ref::<h2::Error>(), cause.downcast_ref::<LaneError>()) {
                (Some(error), _) => (error.is_reset(), error.is_library()),
                (None, Some(error)) => (error.is_reset(), error.is_library()),
                (None, None) => continue,
            };
        return !(is_reset || is_library && status.code() != Code::Unavailable);
    }
    true
}
