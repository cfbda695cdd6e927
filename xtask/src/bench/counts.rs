//! The system calls of a call: how often each side writes, reads and waits.
//!
//! `strace` counts each program twice, with a different number of calls. The difference of both counts belongs to the calls
//! alone, because the launch and the shutdown are in both. A traced program is slow, so that the counts say how often
//! something is done, and not how long it takes.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::pairs::{Built, Pair, Programs};
use crate::leaks;
use crate::workspace::Outcome;

/// One kind of call.
struct Kind {
    what: &'static str,
    /// The figure of `kit-bench`, and its flags.
    flags: &'static [&'static str],
    /// The flag for the number of calls.
    number: &'static str,
    /// Two numbers of calls, of each caller.
    calls: [usize; 2],
    callers: usize,
    /// The cores of host and plugin.
    cores: Option<[&'static str; 2]>,
}

const UNARY: Kind = Kind {
    what: "64-byte call, a core each",
    flags: &["unary"],
    number: "--exactly",
    calls: [1000, 3000],
    callers: 1,
    cores: Some(["0", "1"]),
};

const KINDS: [Kind; 6] = [
    UNARY,
    Kind { what: "64-byte call, both on one core", cores: Some(["0", "0"]), ..UNARY },
    Kind { what: "64-byte call, a core each, AutoMTLS", flags: &["unary", "--auto-mtls"], ..UNARY },
    Kind {
        what: "64-byte call, 64 in flight, cores as they come",
        flags: &["unary", "--in-flight", "64"],
        calls: [50, 150],
        callers: 64,
        cores: None,
        ..UNARY
    },
    Kind { what: "64-byte message of a stream from the plugin, a core each", flags: &["down"], ..UNARY },
    Kind {
        what: "two brokered connections with a call each, a core each",
        flags: &["broker"],
        number: "--rounds",
        calls: [20, 120],
        ..UNARY
    },
];

/// What is counted: its name, and the system calls that belong to it.
const COUNTED: [(&str, &[&str]); 4] = [
    ("writes", &["write", "writev", "sendto", "sendmsg"]),
    ("reads", &["read", "readv", "recvfrom", "recvmsg"]),
    ("waits", &["epoll_wait", "epoll_pwait", "epoll_pwait2", "poll", "ppoll"]),
    ("futex", &["futex"]),
];

type Counts = BTreeMap<String, f64>;

/// Counts and prints a Markdown table.
pub(super) fn run(programs: &Programs, directory: &Path) -> Outcome {
    let built = programs.pairs.get(&Pair::Rust).ok_or("this library is not built")?;
    println!("\n| host / plugin | {} |", COUNTED.map(|(name, _)| name).join(" | "));
    println!("|---|{}", "--:|".repeat(COUNTED.len()));
    for Kind { what, flags, number, calls: [few, many], callers, cores } in KINDS {
        let mut sides = Vec::new();
        for side in [Side::Host, Side::Plugin] {
            let count = |calls: usize| {
                let mut flags: Vec<OsString> = flags.iter().map(Into::into).collect();
                flags.extend([number.into(), calls.to_string().into()]);
                traced(side, built, programs, cores, flags, directory)
            };
            let (before, after) = (count(few)?, count(many)?);
            let of = |counts: &Counts, names: &[&str]| -> f64 {
                names.iter().filter_map(|name| counts.get(*name)).sum()
            };
            let calls = ((many - few) * callers) as f64;
            sides.push(COUNTED.map(|(_, names)| ((of(&after, names) - of(&before, names)) / calls).max(0.0)));
        }
        let cells = sides[0].iter().zip(&sides[1]).map(|(host, plugin)| format!("{host:.2} / {plugin:.2}"));
        println!("| {what} | {} |", cells.collect::<Vec<_>>().join(" | "));
    }
    Ok(())
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Side {
    Host,
    Plugin,
}

/// Runs host and plugin, one of them under strace, and returns the counts of that one.
fn traced(
    side: Side,
    built: &Built,
    programs: &Programs,
    cores: Option<[&str; 2]>,
    flags: Vec<OsString>,
    directory: &Path,
) -> Outcome<Counts> {
    let counts = directory.join("counts.txt");
    let strace = |traced| -> Vec<OsString> {
        if side != traced {
            return Vec::new();
        }
        // The programs that it starts are not followed.
        let strace = ["strace", "-f", "-c", "-b", "execve", "-o"].map(OsString::from);
        strace.into_iter().chain([counts.clone().into()]).collect()
    };
    let pin = |side: usize| cores.map(|cores| programs.pin(cores[side])).unwrap_or_default();
    let mut line = pin(0);
    line.extend(strace(Side::Host));
    line.extend(built.host().iter().cloned());
    line.extend(flags);
    line.push("--".into());
    line.extend(pin(1));
    line.extend(strace(Side::Plugin));
    line.extend(built.plugin.iter().cloned());
    let (program, arguments) = line.split_first().ok_or("a program has no name")?;
    let ended = leaks::run(Command::new(program).args(arguments), "counts", directory, LIMIT)?;
    match ended.status? {
        Some(status) if status.success() => Ok(read(&fs::read_to_string(&counts)?)),
        Some(status) => {
            let stderr = String::from_utf8_lossy(&fs::read(&ended.stderr)?).into_owned();
            Err(format!("{status}: {}; is strace installed?", stderr.trim()).into())
        }
        None => Err(format!("not done after {} s", LIMIT.as_secs()).into()),
    }
}

/// Reads the table of `strace -c`: share, seconds, time of each, calls, errors if any, name.
fn read(table: &str) -> Counts {
    let row = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let calls = words.get(3)?.parse().ok()?;
        Some(((*words.last()?).to_owned(), calls)).filter(|(name, _)| name != "total")
    };
    table.lines().filter_map(row).collect()
}

/// How long one run may take.
const LIMIT: Duration = Duration::from_secs(120);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_read_with_and_without_errors() {
        let table = "% time     seconds  usecs/call     calls    errors syscall\n\
                     ------ ----------- ----------- --------- --------- ----------------\n \
                     52.73    0.001062           1      1026           epoll_wait\n  \
                     1.09    0.000022           1        15         1 recvfrom\n\
                     ------ ----------- ----------- --------- --------- ----------------\n\
                     100.00    0.002014           1      1041         1 total\n";
        let expected = [("epoll_wait".to_owned(), 1026.0), ("recvfrom".to_owned(), 15.0)];
        assert_eq!(read(table), Counts::from(expected));
    }
}
