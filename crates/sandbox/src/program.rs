//! The program of a confined plugin, with what it needs to run.

use std::path::{Path, PathBuf};

/// The program of a confined plugin: the files that the kernel executes for it, and whether it needs libraries.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Program {
    files: Vec<PathBuf>,
    has_libraries: bool,
}

impl Program {
    /// A program that consists of this file.
    pub fn new(file: impl Into<PathBuf>) -> Self {
        Self { files: vec![file.into()], has_libraries: false }
    }

    /// Adds the interpreter of a script.
    #[must_use]
    pub fn interpreter(mut self, file: impl Into<PathBuf>) -> Self {
        self.files.push(file.into());
        self
    }

    /// Adds the dynamic loader of the program or of its interpreter: the system's libraries can be read.
    #[must_use]
    pub fn loader(mut self, file: impl Into<PathBuf>) -> Self {
        self.files.push(file.into());
        self.has_libraries = true;
        self
    }

    /// The files that the kernel executes.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        self.files.iter().map(PathBuf::as_path)
    }

    /// The directories and files that its loader reads.
    pub fn directories(&self) -> impl Iterator<Item = &Path> {
        let libraries = if self.has_libraries { LIBRARIES } else { &[] };
        libraries.iter().map(Path::new)
    }

    /// The descriptors by which the kernel or an interpreter opens the program.
    pub fn inherited_descriptors(&self) -> impl Iterator<Item = i32> {
        self.files().filter_map(|file| file.strip_prefix("/proc/self/fd").ok()?.to_str()?.parse().ok())
    }
}

/// Where dynamic loaders look for libraries on most systems.
const LIBRARIES: &[&str] = &[
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/usr/lib",
    "/usr/lib32",
    "/usr/lib64",
    "/usr/local/lib",
    "/usr/local/lib64",
    "/nix/store",
    "/etc/ld.so.cache",
    "/etc/ld.so.preload",
    "/etc/ld-musl-x86_64.path",
    "/etc/ld-musl-aarch64.path",
    "/usr/share/locale",
];
