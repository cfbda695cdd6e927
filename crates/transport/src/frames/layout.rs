//! The layout of HTTP/2 frames.
//!
//! # Protocol
//! RFC 9113, sections 3.4 (preface), 4.1 (frames), 6.1 (DATA), 6.2 (HEADERS), 6.5 (SETTINGS) and 6.10 (CONTINUATION).

/// The length of the bytes with which a client begins.
pub(crate) const PREFACE: usize = 24;

/// The length of a frame's header.
pub(super) const FRAME_HEADER: usize = 9;

// Types of frames.
pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const SETTINGS: u8 = 4;
pub(super) const CONTINUATION: u8 = 9;

// Flags of frames.
pub(super) const END_STREAM: u8 = 0x1;
pub(super) const END_HEADERS: u8 = 0x4;
pub(super) const PADDED: u8 = 0x8;
pub(super) const PRIORITY: u8 = 0x20;

/// The length of the priority fields in a HEADERS frame.
pub(super) const PRIORITY_LENGTH: usize = 5;

/// The length of one setting in a SETTINGS frame.
pub(super) const SETTING: usize = 6;

/// The identifier of the setting that limits headers.
pub(super) const MAX_HEADER_LIST_SIZE: [u8; 2] = [0, 6];

/// Returns the length of a frame's payload by its header.
pub(super) fn payload_length([a, b, c, ..]: [u8; FRAME_HEADER]) -> usize {
    u32::from_be_bytes([0, a, b, c]) as usize
}
