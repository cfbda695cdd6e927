//! What a file says about why it cannot be run.

use std::{
    fs::{self, File, Metadata},
    io::{self, Read, Seek, SeekFrom},
    os::unix::fs::{FileTypeExt as _, MetadataExt as _},
    path::Path,
};

use nix::unistd::{Gid, Group, Uid, User, getegid, geteuid};

/// Notes about a program's file: its mode, owner, group and format, and what it needs and is not there. Nothing for a file
/// that cannot be looked at.
///
/// # Protocol
/// The first lines are those of go-plugin's `additionalNotesAboutCommand`, with its words for architectures.
pub(crate) fn notes(path: &Path) -> Option<String> {
    let file = fs::metadata(path).ok()?;
    let mut notes = vec![
        format!("path: {}", path.display()),
        format!("mode: {}", mode(&file)),
        format!("owner: {} (current: {})", user(Uid::from_raw(file.uid())), user(geteuid())),
        format!("group: {} (current: {})", group(Gid::from_raw(file.gid())), group(getegid())),
    ];
    if file.is_file() {
        match format_of(path) {
            Ok(format) => notes.extend(format.notes()),
            Err(error) => notes.push(format!("its first bytes cannot be read: {error}")),
        }
    }
    Some(notes.join("\n"))
}

/// What kind of file it is, as far as running it goes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// A Linux or BSD program, with the path of its dynamic loader if it has one.
    Elf { machine: u16, wrong_class: bool, loader: Option<String> },
    /// A macOS program, or several in one file.
    MachO { cpus: Vec<u32> },
    /// A Windows program.
    Pe { machine: u16 },
    /// A script, with the words of its first line.
    Script { interpreter: String, argument: Option<String> },
    /// Nothing at all.
    Empty,
    /// Something else.
    Other,
}

impl Format {
    fn notes(&self) -> Vec<String> {
        let here = go_architecture();
        match self {
            Self::Elf { machine, wrong_class, loader } => {
                let mut notes = vec![format!(
                    "ELF architecture: {} (current architecture: {here})",
                    elf_machine(*machine)
                )];
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
            Self::MachO { cpus } => {
                let names: Vec<_> = cpus.iter().map(|cpu| macho_cpu(*cpu)).collect();
                vec![format!("MachO architecture: {} (current architecture: {here})", names.join(", "))]
            }
            Self::Pe { machine } => {
                vec![format!("PE architecture: {} (current architecture: {here})", pe_machine(*machine))]
            }
            Self::Script { interpreter, argument } => script_notes(interpreter, argument.as_deref()),
            Self::Empty => vec!["it is empty".to_owned()],
            Self::Other => {
                vec![
                    "it is neither a program nor a script: its first line does not begin with `#!`"
                        .to_owned(),
                ]
            }
        }
    }
}

/// Whether what has to run a script is there.
pub(crate) enum Interpreter<'a> {
    There,
    WindowsLineEnds,
    /// There is no such file.
    Missing(&'a str),
    /// `env` will not find it.
    NotInPath(&'a str),
}

pub(crate) fn interpreter<'a>(interpreter: &'a str, argument: Option<&'a str>) -> Interpreter<'a> {
    if interpreter.ends_with('\r') || argument.is_some_and(|argument| argument.ends_with('\r')) {
        return Interpreter::WindowsLineEnds;
    }
    if !Path::new(interpreter).exists() {
        return Interpreter::Missing(interpreter);
    }
    match argument {
        Some(name)
            if interpreter.ends_with("/env")
                && !name.starts_with('-')
                && !crate::child::find(Path::new(name)).is_absolute() =>
        {
            Interpreter::NotInPath(name)
        }
        _ => Interpreter::There,
    }
}

fn script_notes(interpreter: &str, argument: Option<&str>) -> Vec<String> {
    let mut notes = vec![format!("it is a script for {interpreter}")];
    match self::interpreter(interpreter, argument) {
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

pub(crate) fn format_of(path: &Path) -> io::Result<Format> {
    let mut file = File::open(path)?;
    let mut head = Vec::new();
    Read::by_ref(&mut file).take(HEAD).read_to_end(&mut head)?;
    Ok(match &*head {
        [] => Format::Empty,
        [b'#', b'!', rest @ ..] => script(rest),
        [0x7f, b'E', b'L', b'F', ..] => elf(&mut file, &head),
        [b'M', b'Z', ..] => pe(&head),
        _ => macho(&head).unwrap_or(Format::Other),
    })
}

fn script(rest: &[u8]) -> Format {
    let line = rest.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = String::from_utf8_lossy(line);
    let line = line.trim_matches([' ', '\t']);
    let (interpreter, argument) = match line.split_once([' ', '\t']) {
        Some((interpreter, argument)) => (interpreter, Some(argument.trim_start().to_owned())),
        None => (line, None),
    };
    Format::Script { interpreter: interpreter.to_owned(), argument }
}

fn elf(file: &mut File, head: &[u8]) -> Format {
    let wide = head.get(4) == Some(&2);
    let number = Numbers { little: head.get(5) != Some(&2) };
    let machine = number.half(head, 18).unwrap_or_default();
    let wrong_class = head.get(4).is_some() && wide != (usize::BITS == 64);
    let loader = elf_loader(file, head, wide, number).ok().flatten();
    Format::Elf { machine, wrong_class, loader }
}

/// The path in the segment of type `PT_INTERP`.
fn elf_loader(file: &mut File, head: &[u8], wide: bool, number: Numbers) -> io::Result<Option<String>> {
    let (table, size, count) = if wide {
        (number.long(head, 32), number.half(head, 54), number.half(head, 56))
    } else {
        (number.word(head, 28).map(u64::from), number.half(head, 42), number.half(head, 44))
    };
    let (Some(table), Some(size), Some(count)) = (table, size, count) else { return Ok(None) };
    for n in 0..u64::from(count) {
        let Some(place) = (n * u64::from(size)).checked_add(table) else { return Ok(None) };
        let entry = read_at(file, place, size.into())?;
        if number.word(&entry, 0) != Some(PT_INTERP) {
            continue;
        }
        let (place, length) = if wide {
            (number.long(&entry, 8), number.long(&entry, 32))
        } else {
            (number.word(&entry, 4).map(u64::from), number.word(&entry, 16).map(u64::from))
        };
        let (Some(place), Some(length)) = (place, length) else { return Ok(None) };
        let path = read_at(file, place, length.min(HEAD))?;
        let path = path.split(|byte| *byte == 0).next().unwrap_or_default();
        return Ok(Some(String::from_utf8_lossy(path).into_owned()));
    }
    Ok(None)
}

fn pe(head: &[u8]) -> Format {
    let number = Numbers { little: true };
    let header = number.word(head, 0x3c).and_then(|place| usize::try_from(place).ok());
    let machine = header
        .filter(|place| place.checked_add(4).and_then(|end| head.get(*place..end)) == Some(b"PE\0\0"))
        .and_then(|place| number.half(head, place + 4));
    machine.map_or(Format::Other, |machine| Format::Pe { machine })
}

fn macho(head: &[u8]) -> Option<Format> {
    let (big, little) = (Numbers { little: false }, Numbers { little: true });
    let cpus = match big.word(head, 0)? {
        0xfeed_face | 0xfeed_facf => vec![big.word(head, 4)?],
        0xcefa_edfe | 0xcffa_edfe => vec![little.word(head, 4)?],
        0xcafe_babe => {
            let count = usize::try_from(big.word(head, 4)?).ok().filter(|count| *count <= 16)?;
            (0..count).map_while(|n| big.word(head, 8 + 20 * n)).collect()
        }
        _ => return None,
    };
    Some(Format::MachO { cpus })
}

/// Reads numbers out of a header.
#[derive(Clone, Copy)]
struct Numbers {
    little: bool,
}

impl Numbers {
    fn half(self, bytes: &[u8], at: usize) -> Option<u16> {
        let bytes = bytes.get(at..at.checked_add(2)?)?.try_into().ok()?;
        Some(if self.little { u16::from_le_bytes(bytes) } else { u16::from_be_bytes(bytes) })
    }

    fn word(self, bytes: &[u8], at: usize) -> Option<u32> {
        let bytes = bytes.get(at..at.checked_add(4)?)?.try_into().ok()?;
        Some(if self.little { u32::from_le_bytes(bytes) } else { u32::from_be_bytes(bytes) })
    }

    fn long(self, bytes: &[u8], at: usize) -> Option<u64> {
        let bytes = bytes.get(at..at.checked_add(8)?)?.try_into().ok()?;
        Some(if self.little { u64::from_le_bytes(bytes) } else { u64::from_be_bytes(bytes) })
    }
}

fn read_at(file: &mut File, place: u64, length: u64) -> io::Result<Vec<u8>> {
    file.seek(SeekFrom::Start(place))?;
    let mut bytes = Vec::new();
    Read::by_ref(file).take(length).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// As `ls -l` writes it: `-rwxr-xr-x`.
fn mode(file: &Metadata) -> String {
    let kind = match file.file_type() {
        kind if kind.is_dir() => 'd',
        kind if kind.is_fifo() => 'p',
        kind if kind.is_socket() => 's',
        kind if kind.is_char_device() => 'c',
        kind if kind.is_block_device() => 'b',
        _ => '-',
    };
    let bits = (0..9).rev().zip("rwxrwxrwx".chars());
    std::iter::once(kind).chain(bits.map(|(n, c)| if file.mode() >> n & 1 == 1 { c } else { '-' })).collect()
}

fn user(id: Uid) -> String {
    let name = User::from_uid(id).ok().flatten().map_or_else(|| "?".to_owned(), |user| user.name);
    format!("{id} [{name}]")
}

fn group(id: Gid) -> String {
    let name = Group::from_gid(id).ok().flatten().map_or_else(|| "?".to_owned(), |group| group.name);
    format!("{id} [{name}]")
}

/// This machine's architecture as Go calls it.
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

pub(crate) fn elf_machine(machine: u16) -> String {
    let name = match machine {
        3 => "EM_386",
        8 => "EM_MIPS",
        20 => "EM_PPC",
        21 => "EM_PPC64",
        22 => "EM_S390",
        40 => "EM_ARM",
        62 => "EM_X86_64",
        183 => "EM_AARCH64",
        243 => "EM_RISCV",
        258 => "EM_LOONGARCH",
        other => return format!("number {other}"),
    };
    name.to_owned()
}

/// The architecture of an ELF file as Rust calls it, where it is one of those that this library is used on.
pub(crate) fn architecture_of_elf(machine: u16) -> Option<&'static str> {
    Some(match machine {
        3 => "x86",
        40 => "arm",
        62 => "x86_64",
        183 => "aarch64",
        243 => "riscv64",
        258 => "loongarch64",
        _ => return None,
    })
}

pub(crate) fn macho_cpu(cpu: u32) -> String {
    let name = match cpu {
        7 => "Cpu386",
        12 => "CpuArm",
        18 => "CpuPpc",
        0x0100_0007 => "CpuAmd64",
        0x0100_000c => "CpuArm64",
        0x0100_0012 => "CpuPpc64",
        other => return format!("number {other}"),
    };
    name.to_owned()
}

pub(crate) fn pe_machine(machine: u16) -> &'static str {
    match machine {
        0x014c => "386",
        0x01c0 => "arm",
        0x6264 => "loong64",
        0x8664 => "amd64",
        0xaa64 => "arm64",
        _ => "unknown",
    }
}

/// The type of the segment that names the dynamic loader.
const PT_INTERP: u32 = 3;

/// As much of a file as is read to know its format: a PE header lies within the first few hundred bytes.
const HEAD: u64 = 4096;

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

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
        elf[64..68].copy_from_slice(&PT_INTERP.to_le_bytes());
        elf[72..80].copy_from_slice(&120u64.to_le_bytes());
        elf[96..104].copy_from_slice(&(loader.len() as u64 + 1).to_le_bytes());
        elf.extend(loader.bytes());
        elf.push(0);
        elf
    }

    #[test]
    fn names_architectures_as_go_does() {
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

    #[test]
    fn names_what_is_missing() {
        let missing = notes_of(&elf_with(62, "/lib/ld-nowhere.so.1"));
        assert!(missing.contains("its dynamic loader /lib/ld-nowhere.so.1 is missing"), "{missing}");
        assert!(!notes_of(&elf_with(62, "/bin/sh")).contains("missing"));
        assert!(notes_of(b"#!/no/such/interpreter -x\n").contains("/no/such/interpreter is missing"));
        assert!(notes_of(b"#!/usr/bin/env no-such-thing\n").contains("no-such-thing is not in PATH"));
        assert!(notes_of(b"#!/bin/sh\r\nexit\r\n").contains("CR LF"));
        assert!(notes_of(b"").contains("it is empty"));
        assert!(notes_of(b"hello").contains("neither a program nor a script"));
    }

    #[test]
    fn shows_who_may_run_it() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        fs::set_permissions(file.path(), fs::Permissions::from_mode(0o640)).expect("ours");
        let notes = notes(file.path()).expect("it exists");
        assert!(notes.contains("mode: -rw-r-----\n"), "{notes}");
        assert!(notes.contains(&format!("owner: {} [", geteuid())), "{notes}");
    }

    proptest::proptest! {
        #[test]
        fn no_file_is_too_strange(start in 0..4usize, content in proptest::collection::vec(0u8.., 0..300)) {
            let starts: [&[u8]; 4] = [b"", b"\x7fELF\x02\x01", b"MZ", &[0xca, 0xfe, 0xba, 0xbe]];
            notes_of(&[starts[start], &content].concat());
        }
    }
}
