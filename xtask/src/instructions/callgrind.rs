//! Running a program under valgrind's callgrind.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::workspace::Outcome;

/// How many instructions one piece of work takes, and nothing around it.
pub(super) fn count(program: &Path, piece: &str) -> Outcome<u64> {
    let place = tempfile::tempdir()?;
    let profile = place.path().join("callgrind.out");
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--collect-atstart=no", "--toggle-collect=*counted_by_callgrind*"])
        .arg(format!("--callgrind-out-file={}", profile.display()))
        .arg(program)
        .arg(piece)
        .output()
        .map_err(|error| format!("valgrind cannot be started: {error}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("`{piece}` failed under valgrind: {}\n{said}", output.status).into());
    }
    match total(&fs::read_to_string(&profile)?) {
        None | Some(0) => Err(format!("valgrind counted nothing in `{piece}`").into()),
        Some(count) => Ok(count),
    }
}

/// The sum over all functions, which the format has in a line of its own.
fn total(profile: &str) -> Option<u64> {
    profile.lines().find_map(|line| line.strip_prefix("totals:"))?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::total;

    #[test]
    fn the_sum_is_found() {
        assert_eq!(
            total("# callgrind format\nevents: Ir\nsummary: 0\n\nfn=(1)\n1 2\ntotals: 485415\n"),
            Some(485_415)
        );
        assert_eq!(total("# callgrind format\nevents: Ir\n"), None);
    }
}
