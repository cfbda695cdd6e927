//! The limit on headers in the first SETTINGS frame of this side.

use super::layout::{FRAME_HEADER, MAX_HEADER_LIST_SIZE, SETTING, SETTINGS, payload_length};

/// Rewrites the limit that this side announces, because the HTTP/2 stack announces the larger limit that it was given.
#[derive(Debug)]
pub(super) struct AnnouncedLimit {
    /// How many bytes of the preface are still to be written before the settings.
    preface: usize,
    /// The position of the value, once the first bytes of the settings were searched.
    at: Option<usize>,
    value: [u8; 4],
    written: usize,
}

impl AnnouncedLimit {
    pub(super) fn new(preface: usize, limit: u32) -> Self {
        Self { at: None, preface, value: limit.to_be_bytes(), written: 0 }
    }

    /// Returns the part of these bytes that belongs to the preface.
    pub(super) fn preface<'a>(&self, bytes: &'a [u8]) -> Option<&'a [u8]> {
        (self.preface > 0).then(|| &bytes[..bytes.len().min(self.preface)])
    }

    /// Takes note that bytes of the preface have been written.
    pub(super) fn wrote_preface(&mut self, bytes: usize) {
        self.preface -= bytes;
    }

    /// Returns the first of these bytes, with the value rewritten. `None` when nothing is left to rewrite.
    pub(super) fn rewrite(&mut self, bytes: &[u8]) -> Option<Vec<u8>> {
        if self.written == 0 {
            self.at = Self::find(bytes);
        }
        let at = self.at?;
        let end = (at + self.value.len()).checked_sub(self.written).filter(|end| *end > 0)?;
        let mut bytes = bytes[..end.min(bytes.len())].to_vec();
        for (index, byte) in self.value.iter().enumerate() {
            if let Some(old) = (at + index).checked_sub(self.written).and_then(|at| bytes.get_mut(at)) {
                *old = *byte;
            }
        }
        Some(bytes)
    }

    /// Takes note that bytes of the settings have been written.
    pub(super) fn wrote_settings(&mut self, bytes: usize) {
        self.written += bytes;
    }

    fn find(bytes: &[u8]) -> Option<usize> {
        let (header, payload) = bytes.split_first_chunk::<FRAME_HEADER>()?;
        let settings = payload.get(..payload_length(*header)).filter(|_| header[3] == SETTINGS)?;
        let nth = settings.chunks_exact(SETTING).position(|setting| setting[..2] == MAX_HEADER_LIST_SIZE)?;
        Some(FRAME_HEADER + nth * SETTING + 2)
    }
}
