//! The instructions of a filter, so arranged that a call passes few of them.
//!
//! The kernel runs a filter for each call, and when it is installed once for each number of a call. One long list of comparisons
//! would take most of the time of a confined start.

use std::{collections::BTreeMap, io};

use libc::{ENOSYS, EPERM};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, SeccompRule, TargetArch, sock_filter};

/// The filter that refuses these calls, and hides those that are newer than `newest` or among `hidden`. A call without rules is refused
/// whatever its arguments are.
pub(super) fn assemble(
    refused: BTreeMap<i64, Vec<SeccompRule>>,
    newest: u32,
    hidden: &[u32],
) -> io::Result<BpfProgram> {
    let unknown = u32::from(SeccompAction::Errno(ENOSYS.cast_unsigned()));
    // The check of the architecture, without the end that allows all calls.
    let mut program = by_rules(Vec::new())?;
    program.pop();
    program.push(statement(LOAD_WORD, OFFSET_OF_NUMBER));
    program.push(skip_next_unless(JUMP_IF_GREATER, newest));
    program.push(statement(RETURN, unknown));
    for number in hidden {
        program.push(skip_next_unless(JUMP_IF_EQUAL, *number));
        program.push(statement(RETURN, unknown));
    }
    let mut parts = Vec::new();
    let mut rest: Vec<_> = refused.into_iter().collect();
    while rest.len() > PART {
        let after = rest.split_off(PART);
        let next = after.first().map_or(0, |(number, _)| *number);
        parts.push((u32::try_from(next).map_err(io::Error::other)?, part(rest)?));
        rest = after;
    }
    let last = part(rest)?;
    // Each entry is two instructions: skip the next one from this number on, and jump to the part of the numbers before it.
    let mut ahead = 2 * parts.len() + last.len();
    for (index, (next, part)) in parts.iter().enumerate() {
        let jump = 2 * index + 1;
        program.push(sock_filter { code: JUMP_IF_NOT_LESS, jt: 1, jf: 0, k: *next });
        program.push(statement(JUMP, u32::try_from(ahead - jump - 1).map_err(io::Error::other)?));
        ahead += part.len();
    }
    program.extend(last);
    program.extend(parts.into_iter().flat_map(|(_, part)| part));
    Ok(program)
}

/// The decision about some calls, whose number is loaded. All others are allowed.
fn part(refused: Vec<(i64, Vec<SeccompRule>)>) -> io::Result<BpfProgram> {
    let (always, by_arguments): (Vec<_>, Vec<_>) =
        refused.into_iter().partition(|(_, rules)| rules.is_empty());
    let mut program = Vec::new();
    for (index, (number, _)) in always.iter().enumerate() {
        // To the refusal behind the comparisons that follow, and behind the jump over the refusal.
        let jt = u8::try_from(always.len() - index).map_err(io::Error::other)?;
        let k = u32::try_from(*number).map_err(io::Error::other)?;
        program.push(sock_filter { code: JUMP_IF_EQUAL, jt, jf: 0, k });
    }
    if !always.is_empty() {
        program.push(statement(JUMP, 1));
        program.push(statement(RETURN, u32::from(refuse())));
    }
    match by_arguments.is_empty() {
        true => program.push(statement(RETURN, u32::from(SeccompAction::Allow))),
        // The architecture is checked, and the number is loaded.
        false => program.extend(by_rules(by_arguments)?.into_iter().skip(CHECK_AND_LOAD)),
    }
    Ok(program)
}

/// A whole filter of calls that have rules.
fn by_rules(refused: Vec<(i64, Vec<SeccompRule>)>) -> io::Result<BpfProgram> {
    let arch = TargetArch::try_from(std::env::consts::ARCH).map_err(io::Error::other)?;
    let filter = SeccompFilter::new(refused.into_iter().collect(), SeccompAction::Allow, refuse(), arch)
        .map_err(io::Error::other)?;
    BpfProgram::try_from(filter).map_err(io::Error::other)
}

fn refuse() -> SeccompAction {
    SeccompAction::Errno(EPERM.cast_unsigned())
}

fn statement(code: u16, k: u32) -> sock_filter {
    sock_filter { code, jt: 0, jf: 0, k }
}

fn skip_next_unless(code: u16, k: u32) -> sock_filter {
    sock_filter { code, jt: 0, jf: 1, k }
}

/// The instructions of a whole filter before its first comparison with a number.
const CHECK_AND_LOAD: usize = 4;

/// The refused calls in one part.
const PART: usize = 8;

// Instructions of classic BPF: `linux/bpf_common.h`.
const LOAD_WORD: u16 = 0x20;
const JUMP: u16 = 0x05;
const JUMP_IF_EQUAL: u16 = 0x15;
const JUMP_IF_GREATER: u16 = 0x25;
const JUMP_IF_NOT_LESS: u16 = 0x35;
const RETURN: u16 = 0x06;
const OFFSET_OF_NUMBER: u32 = 0;

#[cfg(test)]
mod tests {
    use seccompiler::{SeccompCmpArgLen, SeccompCmpOp, SeccompCondition};

    use super::*;

    /// The result of a filter for a call without arguments, and the instructions that it took.
    fn run(program: &[sock_filter], number: u32) -> (u32, usize) {
        let audit = match TargetArch::try_from(std::env::consts::ARCH).expect("known") {
            TargetArch::x86_64 => 0xC000_003E,
            TargetArch::aarch64 => 0xC000_00B7,
            TargetArch::riscv64 => 0xC000_00F3,
        };
        let (mut at, mut accumulator) = (0, 0);
        for steps in 1..10_000 {
            let sock_filter { code, jt, jf, k } = program[at];
            let branch = |holds: bool| usize::from(if holds { jt } else { jf });
            at += 1;
            match code {
                LOAD_WORD => accumulator = [number, audit, 0, 0].get(k as usize / 4).copied().unwrap_or(0),
                JUMP => at += k as usize,
                JUMP_IF_EQUAL => at += branch(accumulator == k),
                JUMP_IF_GREATER => at += branch(accumulator > k),
                JUMP_IF_NOT_LESS => at += branch(accumulator >= k),
                RETURN => return (k, steps),
                other => panic!("the instruction {other:#x}"),
            }
        }
        panic!("the filter does not end");
    }

    #[test]
    fn a_filter_refuses_its_calls_and_no_others() {
        const ALLOW: u32 = 0x7fff_0000;
        let errno = |number: i32| 0x0005_0000 | number.cast_unsigned();
        for count in [0, 1, PART, PART + 1, 100] {
            let refused: Vec<u32> =
                (0..count).map(|index| 3 * u32::try_from(index).expect("small")).collect();
            let mut rules: BTreeMap<_, _> =
                refused.iter().map(|number| (i64::from(*number), Vec::new())).collect();
            // Two calls by their arguments, which are zero here.
            for (number, operation) in [(310, SeccompCmpOp::Eq), (311, SeccompCmpOp::Ne)] {
                let is_refused = SeccompCondition::new(0, SeccompCmpArgLen::Dword, operation, 0);
                let rule = SeccompRule::new(vec![is_refused.expect("valid")]).expect("valid");
                rules.insert(number, vec![rule]);
            }
            let program = assemble(rules, 400, &[301, 302]).expect("valid");
            for number in 0..500 {
                let (found, steps) = run(&program, number);
                let expected = match number {
                    401.. | 301 | 302 => errno(ENOSYS),
                    310 => errno(EPERM),
                    number if refused.contains(&number) => errno(EPERM),
                    _ => ALLOW,
                };
                assert_eq!(found, expected, "{number} of {count}");
                assert!(steps < 50, "{number} of {count} takes {steps} instructions");
            }
        }
    }
}
