//! Takes values out of the bytes of a fuzzer.

/// Bytes that are taken from the front. Bytes that are missing count as 0.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Input<'b>(&'b [u8]);

impl<'b> Input<'b> {
    pub(crate) fn new(bytes: &'b [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn byte(&mut self) -> u8 {
        self.array::<1>()[0]
    }

    pub(crate) fn flag(&mut self) -> bool {
        self.byte() & 1 == 1
    }

    /// A piece with its length in the first byte.
    pub(crate) fn piece(&mut self) -> &'b [u8] {
        let length = self.byte().into();
        self.take(length)
    }

    /// A piece with its length in the first two bytes.
    pub(crate) fn long_piece(&mut self) -> &'b [u8] {
        let length = u16::from_be_bytes(self.array()).into();
        self.take(length)
    }

    /// The bytes that have not been taken.
    pub(crate) fn rest(self) -> &'b [u8] {
        self.0
    }

    fn array<const N: usize>(&mut self) -> [u8; N] {
        let mut array = [0; N];
        let taken = self.take(N);
        array[..taken.len()].copy_from_slice(taken);
        array
    }

    fn take(&mut self, length: usize) -> &'b [u8] {
        let (taken, rest) = self.0.split_at(length.min(self.0.len()));
        self.0 = rest;
        taken
    }
}

/// The bytes as text. Invalid bytes are replaced.
pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Checks what every error has: a code, a text, and help.
///
/// # Panics
/// If the error lacks one of them.
pub(crate) fn check_error(error: &dyn miette::Diagnostic) {
    let text = error.to_string();
    let code = error.code().map(|code| code.to_string());
    assert!(code.is_some_and(|code| code.starts_with("rpcplugin::")), "an error without a code: {text}");
    assert!(!text.is_empty(), "an error without a text");
}
