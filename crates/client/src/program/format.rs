//! The formats of programs: ELF, Mach-O, PE and scripts, read from the beginning of a file.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    path::Path,
};

/// The format of a file.
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
    /// An empty file.
    Empty,
    /// Any other file.
    Other,
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

/// The architecture of an ELF file as Rust names it, for the architectures that this library is used on.
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

/// The architecture of a Mach-O file as Rust names it.
pub(crate) fn architecture_of_macho(cpu: u32) -> Option<&'static str> {
    Some(match cpu {
        7 => "x86",
        12 => "arm",
        0x0100_0007 => "x86_64",
        0x0100_000c => "aarch64",
        _ => return None,
    })
}

/// The architecture of a PE file as Rust names it.
pub(crate) fn architecture_of_pe(machine: u16) -> Option<&'static str> {
    Some(match machine {
        0x014c => "x86",
        0x01c0 | 0x01c4 => "arm",
        0x6264 => "loongarch64",
        0x8664 => "x86_64",
        0xaa64 => "aarch64",
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

/// The size of the part that is read to determine the format. A PE header is within the first few hundred bytes.
const HEAD: u64 = 4096;
