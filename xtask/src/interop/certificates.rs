//! Certificates for the cells that are given some: made anew for each run, one directory for each kind of keys.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::matrix::{Keys, Language};
use super::peers::Readiness;

/// A directory for each kind of keys, or why there is none.
pub(super) type Certificates = BTreeMap<Keys, Result<PathBuf, String>>;

/// Has the Go host make them: it knows every kind of keys that the matrix has, and ring cannot make all of those.
pub(super) fn make(
    wanted: impl Iterator<Item = Keys>,
    peers: &BTreeMap<Language, Readiness>,
    directory: &Path,
) -> Certificates {
    let kinds: std::collections::BTreeSet<Keys> = wanted.collect();
    kinds.into_iter().map(|keys| (keys, of_kind(keys, peers, directory))).collect()
}

fn of_kind(keys: Keys, peers: &BTreeMap<Language, Readiness>, directory: &Path) -> Result<PathBuf, String> {
    let unmade = |why: &str| Err(format!("the Go host makes the certificates: {why}"));
    let programs = match peers.get(&Language::Go) {
        Some(Readiness::Ready { programs, .. }) => programs,
        Some(Readiness::Missing(why) | Readiness::Broken(why)) => return unmade(why),
        None => return unmade("it was not built"),
    };
    let made = directory.join("certificates").join(keys.name());
    let [program, arguments @ ..] = programs.host.as_slice() else { return unmade("it has no name") };
    let output = Command::new(program)
        .args(arguments)
        .args(["certs", "--keys", keys.name()])
        .arg(&made)
        .output()
        .map_err(|error| error.to_string())?;
    if output.status.success() { Ok(made) } else { unmade(&String::from_utf8_lossy(&output.stderr)) }
}
