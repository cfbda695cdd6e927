//! What the fuzz targets use of a call: its timeout, and the messages in its body.

use std::time::Duration;

use http::{HeaderMap, HeaderValue};

use super::{message_scan::MessageScan, timeout};

/// Reads a timeout from the value of its header, and then the timeout that is written for it.
pub fn timeouts(value: HeaderValue) -> Option<(Duration, Option<Duration>)> {
    let mut headers = HeaderMap::new();
    headers.insert("grpc-timeout", value);
    let read = timeout::read_timeout(&headers)?;
    headers.clear();
    timeout::write_timeout(&mut headers, read);
    Some((read, timeout::read_timeout(&headers)))
}

/// Follows the messages in a body whose bytes come `step` at a time. Returns the message that has come in part, with its length and
/// with the bytes that have come, or the length of a message that is longer than the limit.
///
/// # Errors
/// The length of a message above the limit.
pub fn follow_messages(body: &[u8], step: usize, limit: u64) -> Result<Option<(u32, u32)>, u32> {
    let mut scan = MessageScan::new(limit);
    for piece in body.chunks(step.max(1)) {
        scan.take(piece).map_err(|long| long.length)?;
    }
    Ok(scan.partial().map(|partial| (partial.length, partial.arrived)))
}
