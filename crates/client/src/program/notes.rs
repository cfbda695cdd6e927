//! Notes on a program's file for the error of a failed launch.

use std::{fs, path::Path};

use super::{
    format::{Format, elf_machine, format_of, macho_cpu, pe_machine},
    interpreter::{self, Interpreter},
};
use crate::os;

/// Returns notes on a program's file: mode, owner, group and format, and what is missing to run it. `None` if the
/// file cannot be inspected.
///
/// # Protocol
/// The first lines are those of go-plugin's `additionalNotesAboutCommand`, with its words for architectures.
pub(crate) fn notes(path: &Path) -> Option<String> {
    let file = fs::metadata(path).ok()?;
    let mut notes = vec![format!("path: {}", path.display())];
    notes.extend(os::notes_on_access(&file));
    if file.is_file() {
        match format_of(path) {
            // The system runs it by its extension, whatever is in it.
            Ok(Format::Other | Format::Script { .. }) if os::is_command_file(path) => {}
            Ok(format) => notes.extend(notes_on_format(&format)),
            Err(error) => notes.push(format!("its first bytes cannot be read: {error}")),
        }
    }
    Some(notes.join("\n"))
}

fn notes_on_format(format: &Format) -> Vec<String> {
    let here = go_architecture();
    match format {
        Format::Elf { machine, wrong_class, loader } => {
            let mut notes =
                vec![format!("ELF architecture: {} (current architecture: {here})", elf_machine(*machine))];
            if *wrong_class {
                notes.push("it is built for another word size than this host".to_owned());
            }
            if let Some(loader) = loader.as_deref().filter(|loader| !Path::new(loader).exists()) {
                notes.push(format!(
                        "its dynamic loader {loader} is missing: install the C library it was built for, or link it \
                         statically"
                    ));
            }
            notes
        }
        Format::MachO { cpus } => {
            let names: Vec<_> = cpus.iter().map(|cpu| macho_cpu(*cpu)).collect();
            vec![format!("MachO architecture: {} (current architecture: {here})", names.join(", "))]
        }
        Format::Pe { machine } => {
            vec![format!("PE architecture: {} (current architecture: {here})", pe_machine(*machine))]
        }
        Format::Script { interpreter, argument } => script_notes(interpreter, argument.as_deref()),
        Format::Empty => vec!["it is empty".to_owned()],
        Format::Other => {
            vec!["it is neither a program nor a script: its first line does not begin with `#!`".to_owned()]
        }
    }
}

fn script_notes(interpreter: &str, argument: Option<&str>) -> Vec<String> {
    let mut notes = vec![format!("it is a script for {interpreter}")];
    match interpreter::interpreter(interpreter, argument) {
        Interpreter::There => {}
        Interpreter::WindowsLineEnds => {
            notes.push("its lines end as on Windows (CR LF): save it with plain line ends".to_owned());
        }
        Interpreter::Missing(name) => {
            notes.push(format!("its interpreter {name} is missing: install it, or correct the first line"));
        }
        Interpreter::NotInPath(name) => {
            notes.push(format!(
                "its interpreter {name} is not in PATH: install it, or correct the first line"
            ));
        }
    }
    notes
}

/// This machine's architecture as Go names it.
fn go_architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "x86" => "386",
        "aarch64" => "arm64",
        "loongarch64" => "loong64",
        "powerpc64" => "ppc64",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notes_of(content: &[u8]) -> String {
        let file = tempfile::NamedTempFile::new().expect("a file");
        fs::write(file.path(), content).expect("writable");
        notes(file.path()).expect("it exists")
    }

    /// A header with one program header, which names the loader.
    fn elf_with(machine: u16, loader: &str) -> Vec<u8> {
        let mut elf = vec![0; 64 + 56];
        elf[..6].copy_from_slice(&[0x7f, b'E', b'L', b'F', 2, 1]);
        elf[18..20].copy_from_slice(&machine.to_le_bytes());
        elf[32..40].copy_from_slice(&64u64.to_le_bytes());
        elf[54..56].copy_from_slice(&56u16.to_le_bytes());
        elf[56..58].copy_from_slice(&1u16.to_le_bytes());
        elf[64..68].copy_from_slice(&3u32.to_le_bytes());
        elf[72..80].copy_from_slice(&120u64.to_le_bytes());
        elf[96..104].copy_from_slice(&(loader.len() as u64 + 1).to_le_bytes());
        elf.extend(loader.bytes());
        elf.push(0);
        elf
    }

    #[test]
    fn architectures_have_the_names_of_go() {
        assert!(notes_of(&elf_with(183, "/bin/sh")).contains("ELF architecture: EM_AARCH64 (current"));
        let macho = [&0xfeed_facf_u32.to_le_bytes()[..], &0x0100_000c_u32.to_le_bytes()].concat();
        assert!(notes_of(&macho).contains("MachO architecture: CpuArm64 (current"));
        let mut universal = [&0xcafe_babe_u32.to_be_bytes()[..], &2u32.to_be_bytes()].concat();
        universal.extend([&0x0100_0007_u32.to_be_bytes()[..], &[0; 16]].concat());
        universal.extend([&0x0100_000c_u32.to_be_bytes()[..], &[0; 16]].concat());
        assert!(notes_of(&universal).contains("MachO architecture: CpuAmd64, CpuArm64"));
        let mut pe = vec![0; 0x80];
        pe[..2].copy_from_slice(b"MZ");
        pe[0x3c] = 0x40;
        pe[0x40..0x46].copy_from_slice(&[b'P', b'E', 0, 0, 0x64, 0x86]);
        assert!(notes_of(&pe).contains("PE architecture: amd64 (current"));
    }

    #[cfg(unix)]
    #[test]
    fn missing_parts_are_named() {
        let missing = notes_of(&elf_with(62, "/lib/ld-nowhere.so.1"));
        assert!(missing.contains("its dynamic loader /lib/ld-nowhere.so.1 is missing"), "{missing}");
        assert!(!notes_of(&elf_with(62, "/bin/sh")).contains("missing"));
        assert!(notes_of(b"#!/no/such/interpreter -x\n").contains("/no/such/interpreter is missing"));
        assert!(notes_of(b"#!/usr/bin/env no-such-thing\n").contains("no-such-thing is not in PATH"));
        assert!(notes_of(b"#!/bin/sh\r\nexit\r\n").contains("CR LF"));
        assert!(notes_of(b"").contains("it is empty"));
        assert!(notes_of(b"hello").contains("neither a program nor a script"));
    }

    proptest::proptest! {
        #[test]
        fn any_file_has_notes(start in 0..4usize, content in proptest::collection::vec(0u8.., 0..300)) {
            let starts: [&[u8]; 4] = [b"", b"\x7fELF\x02\x01", b"MZ", &[0xca, 0xfe, 0xba, 0xbe]];
            notes_of(&[starts[start], &content].concat());
        }
    }
}
