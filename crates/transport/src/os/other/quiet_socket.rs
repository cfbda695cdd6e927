//! Unix sockets as they are. That each read of the peer is an event for writing has been seen on Linux only.

use std::io;

use crate::os::sockets::UnixStream;

/// Returns the stream as it is.
#[expect(clippy::unnecessary_wraps, reason = "the function on Linux can fail")]
pub(crate) fn quiet(stream: UnixStream) -> io::Result<UnixStream> {
    Ok(stream)
}
