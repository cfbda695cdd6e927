//! The bytes with which a connection on the lane begins.

/// What the side that opened the connection sends first. HTTP/2 begins with `PRI`, and TLS with the byte 22.
pub(crate) const MAGIC: &[u8; 16] = b"rpcplugin lane1\n";

/// The version of the lane. Both sides have to have the same.
pub const LANE_VERSION: u32 = 1;

/// What the first bytes of a connection are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Beginning {
    /// More bytes have to arrive.
    Unknown,
    Lane,
    /// HTTP/2, or anything else.
    Other,
}

/// Says what the first bytes of a connection are.
pub(crate) fn beginning(bytes: &[u8]) -> Beginning {
    let length = bytes.len().min(MAGIC.len());
    match bytes[..length] == MAGIC[..length] {
        false => Beginning::Other,
        true if length < MAGIC.len() => Beginning::Unknown,
        true => Beginning::Lane,
    }
}
