//! A program's file before it is started.

use std::{
    fmt, io,
    path::{Path, PathBuf},
};

use rpcplugin_core::PluginMetadata;

use super::{
    embedded_metadata::embedded_metadata,
    format::{
        Format, architecture_of_elf, architecture_of_macho, architecture_of_pe, elf_machine, format_of,
        macho_cpu, pe_machine,
    },
    interpreter::{Interpreter, interpreter},
    lookup::find,
};
use crate::os::{self, NATIVE_FORMAT, NativeFormat};

/// A program's file: its path, its format, and why this machine cannot run it.
///
/// ```
/// use rpcplugin_client::ProgramFile;
///
/// let own = ProgramFile::of(&std::env::current_exe()?)?;
/// assert!(own.obstacle().is_none());
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct ProgramFile {
    path: PathBuf,
    format: Format,
}

/// The reason why this machine cannot run a file, as far as the file itself shows. [`Display`](fmt::Display) states the
/// obstacle, and [`advice`](Self::advice) the remedy.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Obstacle {
    /// The file is empty.
    Empty,
    /// The file is neither a program nor a script.
    NoProgram,
    /// The program is for another operating system.
    OtherSystem {
        /// The format of the program.
        format: String,
    },
    /// The program is for another processor. A machine with an emulator may run it all the same.
    OtherArchitecture {
        /// The architecture of the program.
        built_for: String,
    },
    /// The dynamic loader of the program is missing. The program was built for another C library.
    LoaderMissing {
        /// The path of the loader.
        loader: PathBuf,
    },
    /// The interpreter of the script is missing.
    InterpreterMissing {
        /// The path of the interpreter, or the name that `env` looks up in `PATH`.
        interpreter: String,
    },
    /// The script's lines end in CR LF, so that the name of its interpreter ends in CR.
    WindowsLineEnds,
}

impl ProgramFile {
    /// Looks up a program as [`Command`](crate::Command) does: at its path, or a bare name in `PATH`. A name that is
    /// not found is returned unchanged.
    #[must_use]
    pub fn find(program: &Path) -> PathBuf {
        find(program)
    }

    /// Reads the beginning of the file at this path.
    ///
    /// # Errors
    /// The error of the operating system if the file cannot be opened or read.
    pub fn of(path: &Path) -> io::Result<Self> {
        Ok(Self { path: path.to_owned(), format: format_of(path)? })
    }

    /// The path of the file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns why this machine cannot run the file. Missing libraries are not noticed here: the dynamic loader
    /// reports them at the start.
    #[must_use]
    pub fn obstacle(&self) -> Option<Obstacle> {
        match &self.format {
            Format::Elf { .. } if NATIVE_FORMAT != NativeFormat::Elf => Some(self.other_system()),
            Format::Elf { machine, wrong_class, loader } => {
                if *wrong_class
                    || architecture_of_elf(*machine).is_some_and(|built_for| !runs_here(built_for))
                {
                    return Some(Obstacle::OtherArchitecture { built_for: built_for(*machine) });
                }
                let missing = loader.as_deref().map(Path::new).filter(|loader| !loader.exists());
                missing.map(|loader| Obstacle::LoaderMissing { loader: loader.to_owned() })
            }
            Format::MachO { .. } if NATIVE_FORMAT != NativeFormat::MachO => Some(self.other_system()),
            Format::MachO { .. } => None,
            Format::Pe { .. } if NATIVE_FORMAT != NativeFormat::Pe => Some(self.other_system()),
            Format::Pe { machine } => architecture_of_pe(*machine)
                .filter(|built_for| !runs_here(built_for))
                .map(|built_for| Obstacle::OtherArchitecture { built_for: built_for.to_owned() }),
            // The system runs these by their extension, whatever is in them.
            _ if os::is_command_file(&self.path) => None,
            // The first line of a script means nothing to Windows.
            Format::Script { .. } if NATIVE_FORMAT == NativeFormat::Pe => Some(self.other_system()),
            Format::Script { interpreter: name, argument } => match interpreter(name, argument.as_deref()) {
                Interpreter::There => None,
                Interpreter::WindowsLineEnds => Some(Obstacle::WindowsLineEnds),
                Interpreter::Missing(name) | Interpreter::NotInPath(name) => {
                    Some(Obstacle::InterpreterMissing { interpreter: name.to_owned() })
                }
            },
            Format::Empty => Some(Obstacle::Empty),
            Format::Other => Some(Obstacle::NoProgram),
        }
    }

    /// The architecture that the program is built for, as Rust names it: `x86_64`, `aarch64`. `None` for a file that
    /// is not a program, and `unknown` for an architecture without a name.
    #[must_use]
    pub fn architecture(&self) -> Option<&'static str> {
        match &self.format {
            Format::Elf { machine, .. } => Some(architecture_of_elf(*machine).unwrap_or("unknown")),
            Format::MachO { cpus } => {
                Some(cpus.first().and_then(|cpu| architecture_of_macho(*cpu)).unwrap_or("unknown"))
            }
            Format::Pe { machine } => Some(architecture_of_pe(*machine).unwrap_or("unknown")),
            Format::Script { .. } | Format::Empty | Format::Other => None,
        }
    }

    /// Reads the metadata that the program has in its file, without starting the program. `None` if the file has none: the plugin may
    /// still report metadata when it runs.
    ///
    /// The file is read up to its first valid block, piece by piece, so that the memory is small for a file of any size. The call blocks.
    /// Metadata in a file is only as trustworthy as the file.
    ///
    /// # Errors
    /// The error of the operating system if the file cannot be opened or read.
    pub fn embedded_metadata(&self) -> io::Result<Option<PluginMetadata>> {
        embedded_metadata(&self.path)
    }

    fn other_system(&self) -> Obstacle {
        Obstacle::OtherSystem { format: self.to_string() }
    }
}

/// Writes the kind of the file: `ELF program (Linux) for x86_64`, `script for /bin/sh`.
impl fmt::Display for ProgramFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.format {
            Format::Elf { machine, .. } => write!(f, "ELF program (Linux) for {}", built_for(*machine)),
            Format::MachO { cpus } => {
                let names: Vec<_> = cpus.iter().map(|cpu| macho_cpu(*cpu)).collect();
                write!(f, "Mach-O program (macOS) for {}", names.join(", "))
            }
            Format::Pe { machine } => write!(f, "PE program (Windows) for {}", pe_machine(*machine)),
            Format::Script { interpreter, argument } => {
                write!(f, "script for {}", interpreter.trim_end())?;
                argument.as_deref().map_or(Ok(()), |argument| write!(f, " {}", argument.trim_end()))
            }
            Format::Empty => f.write_str("empty file"),
            Format::Other => f.write_str("neither program nor script"),
        }
    }
}

impl Obstacle {
    /// The remedy.
    #[must_use]
    pub fn advice(&self) -> &'static str {
        match self {
            Self::Empty => "build or copy the program again: what wrote this file was interrupted",
            Self::NoProgram => {
                "name the plugin's program itself; a script needs a first line such as `#!/bin/sh`"
            }
            Self::OtherSystem { .. } => "get or build the plugin for this operating system",
            Self::OtherArchitecture { .. } => "get or build the plugin for this machine's processor",
            Self::LoaderMissing { .. } => {
                "install the C library that the program was built for, or link it statically"
            }
            Self::InterpreterMissing { .. } => "install the interpreter, or correct the script's first line",
            Self::WindowsLineEnds => "save the script with plain line ends (LF)",
        }
    }
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("the file is empty"),
            Self::NoProgram => f.write_str("the file is neither a program nor a script"),
            Self::OtherSystem { format } => {
                write!(f, "the file is a {format}, and this is {}", std::env::consts::OS)
            }
            Self::OtherArchitecture { built_for } => {
                write!(f, "the program is for {built_for}, and this machine is {}", std::env::consts::ARCH)
            }
            Self::LoaderMissing { loader } => {
                write!(f, "the program's dynamic loader {} is missing", loader.display())
            }
            Self::InterpreterMissing { interpreter } => {
                write!(f, "the script's interpreter {interpreter} is missing")
            }
            Self::WindowsLineEnds => f.write_str("the script's lines end as on Windows (CR LF)"),
        }
    }
}

/// The architecture of an ELF file, as Rust names it where Rust has a name, and otherwise as ELF does.
fn built_for(machine: u16) -> String {
    architecture_of_elf(machine).map_or_else(|| elf_machine(machine), str::to_owned)
}

/// Whether this machine runs programs of such an architecture. 64-bit machines often run 32-bit programs too, and
/// Windows on ARM emulates x86.
fn runs_here(built_for: &str) -> bool {
    let here = std::env::consts::ARCH;
    match (here, built_for) {
        ("x86_64", "x86") | ("aarch64", "arm") => true,
        ("aarch64", "x86" | "x86_64") => NATIVE_FORMAT == NativeFormat::Pe,
        _ => here == built_for,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn obstacle(content: &[u8]) -> Option<Obstacle> {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), content).expect("writable");
        ProgramFile::of(file.path()).expect("it exists").obstacle()
    }

    #[test]
    fn the_running_program_has_no_obstacle() {
        let own = std::env::current_exe().expect("it runs");
        assert_eq!(ProgramFile::of(&own).expect("it exists").obstacle(), None);
    }

    #[cfg(unix)]
    #[test]
    fn each_obstacle_is_found_and_has_advice() {
        let mut foreign = vec![0; 64];
        foreign[..6].copy_from_slice(&[0x7f, b'E', b'L', b'F', 2, 1]);
        foreign[18] = if cfg!(target_arch = "x86_64") { 183 } else { 62 };
        let cases: [(&[u8], &str); 6] = [
            (b"", "empty"),
            (b"hello\n", "neither a program nor a script"),
            (&foreign, "and this m"),
            (b"#!/no/such/thing\n", "interpreter /no/such/thing is missing"),
            (b"#!/usr/bin/env no-such-thing\n", "interpreter no-such-thing is missing"),
            (b"#!/bin/sh\r\n", "CR LF"),
        ];
        for (content, words) in cases {
            let Some(obstacle) = obstacle(content) else { panic!("{words}: there is no obstacle") };
            if NATIVE_FORMAT == NativeFormat::Elf {
                assert!(obstacle.to_string().contains(words), "{obstacle}");
            }
            assert!(!obstacle.advice().is_empty());
        }
        assert_eq!(obstacle(b"#!/bin/sh\n"), None);
    }

    #[test]
    fn programs_of_other_systems_are_named() {
        if std::env::consts::OS != "linux" {
            return;
        }
        let macho = [&0xfeed_facf_u32.to_le_bytes()[..], &0x0100_000c_u32.to_le_bytes()].concat();
        let said = obstacle(&macho).expect("this is Linux").to_string();
        assert_eq!(said, "the file is a Mach-O program (macOS) for CpuArm64, and this is linux");
    }
}
