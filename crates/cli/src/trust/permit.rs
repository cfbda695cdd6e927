//! Whether a lock file lets a plugin start, and with which sandbox.

use std::{fs, path::Path};

use rpcplugin::{
    host::{Checksum, LaunchFault, ProgramFault},
    sandbox::Sandbox,
};

use super::{Entry, LockFile, LockFileError, Refusal};
use crate::{error::CommandError, sandbox::excess};

/// What a plugin may do.
#[derive(Debug)]
pub(crate) struct Permit {
    /// The digest that the program's file must have when it is executed.
    /// `None` without a lock file.
    pub(crate) checksum: Option<Checksum>,
    /// `None` for a plugin without a sandbox.
    pub(crate) sandbox: Option<Sandbox>,
}

impl LockFile {
    /// Looks a plugin up that is to be launched with the sandbox `asked`, or with that of the file if it is `None`.
    ///
    /// The digest is not compared here but at the start, so that nothing can happen in between.
    ///
    /// # Errors
    /// [`Refusal`] for a plugin that is not in the file, or that would get more than the file grants. [`LockFileError`] for grants
    /// that cannot be read.
    pub(crate) fn permit(&self, program: &Path, asked: Option<&Sandbox>) -> Result<Permit, CommandError> {
        let named = || program.to_owned();
        let file = || self.path().to_owned();
        refuse_interpreter(program)?;
        let key = self.key(program)?;
        let Some(Entry { sha256, sandbox }) = self.entry(&key) else {
            return Err(Refusal::NotTrusted { program: named(), file: file() }.into());
        };
        let invalid = |why: String| LockFileError::Invalid { path: file(), why };
        let granted = sandbox.as_ref().map(|grants| grants.sandbox(self.base())).transpose();
        let granted = granted.map_err(|error| invalid(error.to_string()))?;
        let sandbox = match (asked, granted) {
            (Some(asked), Some(granted)) => {
                let excess = excess(asked, &granted);
                if !excess.is_empty() {
                    return Err(Refusal::AsksForMore { program: named(), file: file(), excess }.into());
                }
                Some(asked.clone())
            }
            (asked, None) => asked.cloned(),
            (None, Some(granted)) => {
                let excess = moved(&granted);
                if !excess.is_empty() {
                    return Err(Refusal::AsksForMore { program: named(), file: file(), excess }.into());
                }
                Some(granted)
            }
        };
        let checksum = Checksum::sha256(sha256).map_err(|error| invalid(error.to_string()))?;
        Ok(Permit { checksum: Some(checksum), sandbox })
    }

    /// Refuses a sandbox in which a plugin could change its program or this file, and with it what it may do.
    ///
    /// # Errors
    /// [`Refusal::CouldChangeItself`].
    pub(crate) fn refuse_self_change(&self, program: &Path, sandbox: &Sandbox) -> Result<(), Refusal> {
        let lock = fs::canonicalize(self.path())
            .unwrap_or_else(|_| self.base().join(self.path().file_name().unwrap_or_default()));
        for victim in [lock, fs::canonicalize(program).unwrap_or_else(|_| program.to_owned())] {
            if let Some(grant) = sandbox.write_paths().find(|grant| victim.starts_with(grant)) {
                return Err(Refusal::CouldChangeItself {
                    program: program.to_owned(),
                    grant: grant.to_owned(),
                    victim,
                });
            }
        }
        Ok(())
    }
}

/// The refusal of a plugin whose file has another digest than the lock file. `None` for other faults.
pub(crate) fn changed(fault: &LaunchFault, file: &Path) -> Option<Refusal> {
    let LaunchFault::Program(ProgramFault::Checksum { program, expected, found }) = fault else {
        return None;
    };
    let (program, trusted, found) = (program.clone(), expected.clone(), found.clone());
    Some(Refusal::Changed { program, file: file.to_owned(), trusted, found })
}

/// Refuses a program that runs what its arguments name. The names are those of the usual interpreters.
///
/// # Errors
/// [`Refusal::Interpreter`].
pub(crate) fn refuse_interpreter(program: &Path) -> Result<(), Refusal> {
    let name = program.file_stem().unwrap_or_default().to_string_lossy().to_lowercase();
    // `python3.11` and `ruby3.1` have a version behind the name. A file stem ends before the last dot.
    let name = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
    match INTERPRETERS.contains(&name) {
        true => Err(Refusal::Interpreter { program: program.to_owned() }),
        false => Ok(()),
    }
}

/// The granted paths that have become links, in words. A plugin that may write beside such a path could have made the link.
fn moved(granted: &Sandbox) -> Vec<String> {
    let paths = granted.read_paths().chain(granted.write_paths()).chain(granted.execute_paths());
    let links = paths
        .filter_map(|path| Some((path, fs::canonicalize(path).ok()?)))
        .filter(|(path, real)| path != real);
    links.map(|(path, real)| format!("{}, by the link {}", real.display(), path.display())).collect()
}

const INTERPRETERS: [&str; 31] = [
    "bash",
    "busybox",
    "bun",
    "bundle",
    "dash",
    "deno",
    "dotnet",
    "env",
    "fish",
    "java",
    "javaw",
    "ksh",
    "lua",
    "mono",
    "node",
    "nodejs",
    "perl",
    "php",
    "pipx",
    "poetry",
    "powershell",
    "pwsh",
    "py",
    "pypy",
    "python",
    "pythonw",
    "ruby",
    "sh",
    "sudo",
    "uv",
    "zsh",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interpreters_are_known_by_their_names() {
        for program in ["python3", "/usr/bin/python3.11", "node", "./bash", "pypy3.10", "PYTHON.EXE"] {
            assert!(refuse_interpreter(Path::new(program)).is_err(), "{program}");
        }
        for program in ["kv.py", "terraform-provider-python", "./kv-plugin", "shell"] {
            assert!(refuse_interpreter(Path::new(program)).is_ok(), "{program}");
        }
    }

    #[test]
    fn a_plugin_may_not_write_where_its_trust_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let base = fs::canonicalize(dir.path()).unwrap();
        let (bin, data) = (base.join("bin"), base.join("data"));
        fs::create_dir(&bin).unwrap();
        fs::write(bin.join("kv"), "").unwrap();
        let file = LockFile::read_or_new(&base.join("rpcplugin.lock")).unwrap();
        let check =
            |path: &Path| file.refuse_self_change(&bin.join("kv"), &Sandbox::new().read(&base).write(path));
        assert!(check(&data).is_ok());
        for path in [base.as_path(), &bin, &bin.join("kv"), &base.join("rpcplugin.lock"), Path::new("/")] {
            assert!(check(path).is_err(), "{}", path.display());
        }
    }
}
