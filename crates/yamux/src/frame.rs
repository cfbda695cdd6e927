//! The 12-byte frame header.

use crate::error::ProtocolError;

/// Length of a header on the wire, in bytes.
pub(crate) const HEADER_LEN: usize = 12;

/// How many bytes may be sent on a new stream before the first window update. The protocol fixes this.
pub(crate) const INITIAL_WINDOW: u32 = 256 * 1024;

/// Go-away code of a normal end.
pub(crate) const GO_AWAY_NORMAL: u32 = 0;
/// Go-away code for a protocol error of the receiver of the frame.
pub(crate) const GO_AWAY_PROTOCOL_ERROR: u32 = 1;

/// A header: version 0, type, flags, stream id and a length whose meaning depends on the type, all big-endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) kind: Kind,
    pub(crate) flags: Flags,
    pub(crate) stream: u32,
    /// Data: the bytes that follow. Window update: the bytes granted. Ping: an opaque value. Go-away: the code.
    pub(crate) length: u32,
}

/// The type of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    Data = 0,
    WindowUpdate = 1,
    Ping = 2,
    GoAway = 3,
}

/// A set of flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Flags(u16);

impl Header {
    pub(crate) fn data(stream: u32, length: u32) -> Self {
        Self { kind: Kind::Data, flags: Flags::NONE, stream, length }
    }

    pub(crate) fn window_update(flags: Flags, stream: u32, delta: u32) -> Self {
        Self { kind: Kind::WindowUpdate, flags, stream, length: delta }
    }

    pub(crate) fn ping(value: u32) -> Self {
        Self { kind: Kind::Ping, flags: Flags::SYN, stream: 0, length: value }
    }

    pub(crate) fn pong(value: u32) -> Self {
        Self { kind: Kind::Ping, flags: Flags::ACK, stream: 0, length: value }
    }

    pub(crate) fn go_away(code: u32) -> Self {
        Self { kind: Kind::GoAway, flags: Flags::NONE, stream: 0, length: code }
    }

    pub(crate) fn encode(self) -> [u8; HEADER_LEN] {
        let mut bytes = [0; HEADER_LEN];
        bytes[0] = VERSION;
        bytes[1] = self.kind as u8;
        bytes[2..4].copy_from_slice(&self.flags.0.to_be_bytes());
        bytes[4..8].copy_from_slice(&self.stream.to_be_bytes());
        bytes[8..12].copy_from_slice(&self.length.to_be_bytes());
        bytes
    }

    pub(crate) fn decode(bytes: [u8; HEADER_LEN]) -> Result<Self, ProtocolError> {
        let [version, kind, flags_high, flags_low, s0, s1, s2, s3, l0, l1, l2, l3] = bytes;
        if version != VERSION {
            return Err(ProtocolError::UnknownVersion(version));
        }
        let kind = match kind {
            0 => Kind::Data,
            1 => Kind::WindowUpdate,
            2 => Kind::Ping,
            3 => Kind::GoAway,
            unknown => return Err(ProtocolError::UnknownType(unknown)),
        };
        let flags = u16::from_be_bytes([flags_high, flags_low]);
        if flags & !Flags::ALL != 0 {
            return Err(ProtocolError::UnknownFlags(flags));
        }
        Ok(Self {
            kind,
            flags: Flags(flags),
            stream: u32::from_be_bytes([s0, s1, s2, s3]),
            length: u32::from_be_bytes([l0, l1, l2, l3]),
        })
    }
}

impl Flags {
    pub(crate) const NONE: Self = Self(0);
    /// Opens a stream. On a ping, asks for a reply.
    pub(crate) const SYN: Self = Self(1);
    /// Acknowledges a stream. On a ping, marks the reply.
    pub(crate) const ACK: Self = Self(2);
    /// Ends the sender's half of a stream.
    pub(crate) const FIN: Self = Self(4);
    /// Ends a stream at once, in both directions.
    pub(crate) const RST: Self = Self(8);

    const ALL: u16 = 0xf;

    pub(crate) fn has(self, flag: Self) -> bool {
        self.0 & flag.0 != 0
    }
}

const VERSION: u8 = 0;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(header: Header, hex: &str) {
        let bytes = header.encode();
        let text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(text, hex);
        assert_eq!(Header::decode(bytes), Ok(header));
    }

    #[test]
    fn headers_are_the_bytes_a_go_peer_sends() {
        check(Header::window_update(Flags::SYN, 1, 0), "000100010000000100000000");
        check(Header::window_update(Flags::ACK, 1, 0), "000100020000000100000000");
        check(Header::data(1, 9), "000000000000000100000009");
        check(Header::window_update(Flags::FIN, 1, 0), "000100040000000100000000");
        check(Header::window_update(Flags::RST, 1, 0), "000100080000000100000000");
        check(Header::ping(7), "000200010000000000000007");
        check(Header::pong(7), "000200020000000000000007");
        check(Header::go_away(GO_AWAY_NORMAL), "000300000000000000000000");
        check(Header::go_away(GO_AWAY_PROTOCOL_ERROR), "000300000000000000000001");
    }

    #[test]
    fn bytes_of_another_protocol_are_refused() {
        let http2: [u8; HEADER_LEN] = *b"PRI * HTTP/2";
        assert_eq!(Header::decode(http2), Err(ProtocolError::UnknownVersion(80)));
        assert_eq!(Header::decode([0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]), Err(ProtocolError::UnknownType(4)));
        assert_eq!(
            Header::decode([0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
            Err(ProtocolError::UnknownFlags(0x100))
        );
    }

    proptest! {
        #[test]
        fn any_header_survives_the_wire(kind in 0..4u8, flags in 0..16u16, stream: u32, length: u32) {
            let kind = [Kind::Data, Kind::WindowUpdate, Kind::Ping, Kind::GoAway][usize::from(kind)];
            let header = Header { kind, flags: Flags(flags), stream, length };
            prop_assert_eq!(Header::decode(header.encode()), Ok(header));
        }
    }
}
