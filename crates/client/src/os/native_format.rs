//! The format of the programs that the system runs.

/// A format of programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NativeFormat {
    /// Linux and the BSDs.
    Elf,
    /// macOS.
    MachO,
    /// Windows.
    Pe,
}

/// The format of the programs that this system runs.
pub(crate) const NATIVE_FORMAT: NativeFormat = if cfg!(windows) {
    NativeFormat::Pe
} else if cfg!(target_os = "macos") {
    NativeFormat::MachO
} else {
    NativeFormat::Elf
};
