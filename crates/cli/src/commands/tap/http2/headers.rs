//! The headers and trailers of a call.

use std::borrow::Cow;

/// One field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::commands) struct Header {
    pub(super) name: Vec<u8>,
    pub(super) value: Vec<u8>,
}

impl Header {
    pub(in crate::commands) fn name(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.name)
    }

    pub(in crate::commands) fn value(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.value)
    }

    /// The length of the value in bytes.
    pub(in crate::commands) fn length(&self) -> usize {
        self.value.len()
    }
}

/// Returns the value of the first field with this name.
pub(in crate::commands) fn value<'h>(headers: &'h [Header], name: &str) -> Option<Cow<'h, str>> {
    headers.iter().find(|header| header.name == name.as_bytes()).map(Header::value)
}
