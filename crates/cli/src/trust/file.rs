//! A lock file on disk.

use std::{
    collections::BTreeMap,
    fs, io,
    io::{Read as _, Write as _},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use rpcplugin::host::ProgramFile;

use super::{Entry, LockFileError, Refusal, text};
use crate::os;

/// A lock file: the plugins that are trusted.
#[derive(Debug, Clone)]
pub(crate) struct LockFile {
    /// The path that the user gave.
    path: PathBuf,
    /// The directory of the file, without links. Keys and grants below it are written relative to it.
    base: PathBuf,
    plugins: BTreeMap<String, Entry>,
}

impl LockFile {
    /// Reads a lock file.
    ///
    /// # Errors
    /// [`LockFileError`] if it does not exist, cannot be read, or is invalid.
    pub(crate) fn read(path: &Path) -> Result<Self, LockFileError> {
        let unreadable = |source: io::Error| match source.kind() {
            io::ErrorKind::NotFound => LockFileError::Missing { path: path.to_owned() },
            _ => LockFileError::Unreadable { path: path.to_owned(), source },
        };
        let invalid = |why| LockFileError::Invalid { path: path.to_owned(), why };
        let real = fs::canonicalize(path).map_err(unreadable)?;
        let file = os::open_without_waiting(&real).map_err(unreadable)?;
        if !file.metadata().map_err(unreadable)?.is_file() {
            return Err(unreadable(io::Error::other("it is not a regular file")));
        }
        let mut text = String::new();
        file.take(LARGEST + 1).read_to_string(&mut text).map_err(unreadable)?;
        if text.len() as u64 > LARGEST {
            return Err(unreadable(io::Error::other("it is too large")));
        }
        let plugins = text::read(&text).map_err(invalid)?;
        let base = real.parent().unwrap_or_else(|| Path::new("/")).to_owned();
        Ok(Self { path: path.to_owned(), base, plugins })
    }

    /// Reads a lock file, or makes an empty one that is not written yet.
    ///
    /// # Errors
    /// As [`read`](Self::read), and if the directory does not exist.
    pub(crate) fn read_or_new(path: &Path) -> Result<Self, LockFileError> {
        match Self::read(path) {
            Err(LockFileError::Missing { .. }) => {
                let dir =
                    path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
                let base = fs::canonicalize(dir)
                    .map_err(|source| LockFileError::Unwritable { path: path.to_owned(), source })?;
                Ok(Self { path: path.to_owned(), base, plugins: BTreeMap::new() })
            }
            read => read,
        }
    }

    /// Changes the file: reads it again, calls `change`, and writes the result, while no other process does the same. A reader sees
    /// either the old file or the new one.
    ///
    /// # Errors
    /// As [`read`](Self::read), if the file cannot be written, or if another process keeps it locked for [`BUSY`].
    pub(crate) fn change<T>(
        path: &Path,
        change: impl FnOnce(&Self, &mut BTreeMap<String, Entry>) -> T,
    ) -> Result<T, LockFileError> {
        let base = Self::read_or_new(path)?.base;
        let unwritable = |source| LockFileError::Unwritable { path: path.to_owned(), source };
        let begun = Instant::now();
        let _locked = loop {
            match os::lock_directory(&base).map_err(unwritable)? {
                Some(locked) => break locked,
                None if begun.elapsed() > BUSY => {
                    return Err(unwritable(io::Error::other("another process changes it")));
                }
                None => std::thread::sleep(Duration::from_millis(20)),
            }
        };
        let this = Self::read_or_new(path)?;
        let mut plugins = this.plugins.clone();
        let changed = change(&this, &mut plugins);
        if plugins != this.plugins {
            this.write(&plugins).map_err(unwritable)?;
        }
        Ok(changed)
    }

    fn write(&self, plugins: &BTreeMap<String, Entry>) -> io::Result<()> {
        // A link to a lock file stays a link.
        let target = fs::canonicalize(&self.path).unwrap_or_else(|_| {
            self.base.join(self.path.file_name().unwrap_or_else(|| super::LOCK_FILE.as_ref()))
        });
        let mut file = os::readable_by_all(tempfile::Builder::new().prefix(".rpcplugin-lock-"))
            .tempfile_in(&self.base)?;
        if let Ok(old) = fs::metadata(&target) {
            fs::set_permissions(file.path(), old.permissions())?;
        }
        file.write_all(text::write(plugins).as_bytes())?;
        file.as_file().sync_all()?;
        file.persist(target)?;
        Ok(())
    }

    /// The name of a program in this file: its path relative to the file's directory, or its absolute path elsewhere.
    ///
    /// # Errors
    /// [`Refusal::Unreadable`] for a program that does not exist or whose path is not UTF-8.
    pub(crate) fn key(&self, program: &Path) -> Result<String, Refusal> {
        let unreadable = |why: String| Refusal::Unreadable { program: program.to_owned(), why };
        let found = ProgramFile::find(program);
        let name = found.file_name().ok_or_else(|| unreadable("it has no name".to_owned()))?;
        let dir = found.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
        if found.components().count() == 1 && !found.is_absolute() && program.components().count() == 1 {
            return Err(unreadable("it is not in PATH".to_owned()));
        }
        // Links in directories are followed. A link to the program is what the plugin is called.
        let path = fs::canonicalize(dir).map_err(|error| unreadable(error.to_string()))?.join(name);
        let relative = path.strip_prefix(&self.base).unwrap_or(&path);
        let text = relative.to_str().ok_or_else(|| unreadable("its path is not UTF-8".to_owned()))?;
        Ok(if cfg!(windows) { text.replace('\\', "/") } else { text.to_owned() })
    }

    /// The path of the program with this name.
    pub(crate) fn program(&self, key: &str) -> PathBuf {
        self.base.join(key)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The directory of the file.
    pub(crate) fn base(&self) -> &Path {
        &self.base
    }

    pub(crate) fn entry(&self, key: &str) -> Option<&Entry> {
        self.plugins.get(key)
    }

    /// The trusted plugins with their names, in the order of the names.
    pub(crate) fn plugins(&self) -> impl Iterator<Item = (&str, &Entry)> {
        self.plugins.iter().map(|(key, entry)| (key.as_str(), entry))
    }
}

/// The largest lock file that is read, in bytes.
const LARGEST: u64 = 1 << 20;

/// How long another process may keep the file locked.
const BUSY: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(digit: usize) -> Entry {
        Entry { sha256: digit.to_string().repeat(64), sandbox: None }
    }

    #[test]
    fn concurrent_changes_are_all_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("rpcplugin.lock");
        std::thread::scope(|scope| {
            for n in 0..8 {
                let path = &path;
                scope.spawn(move || {
                    LockFile::change(path, |_, plugins| _ = plugins.insert(format!("p{n}"), entry(n)))
                        .unwrap();
                });
            }
        });
        let names: Vec<_> = LockFile::read(&path).unwrap().plugins().map(|(key, _)| key.to_owned()).collect();
        assert_eq!(names, (0..8).map(|n| format!("p{n}")).collect::<Vec<_>>());
        let left: Vec<_> =
            fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["rpcplugin.lock"]);
    }

    #[test]
    fn names_are_relative_below_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let (bin, elsewhere) = (dir.path().join("project/bin"), dir.path().join("kv"));
        fs::create_dir_all(&bin).unwrap();
        fs::write(bin.join("kv"), "").unwrap();
        fs::write(&elsewhere, "").unwrap();
        let file = LockFile::read_or_new(&dir.path().join("project/rpcplugin.lock")).unwrap();
        assert_eq!(file.key(&bin.join("../bin/./kv")).unwrap(), "bin/kv");
        assert_eq!(file.program("bin/kv"), fs::canonicalize(bin.join("kv")).unwrap());
        let key = file.key(&elsewhere).unwrap();
        assert_eq!(Path::new(&key), fs::canonicalize(&elsewhere).unwrap());
        assert!(file.key(Path::new("no-such-program-in-path")).is_err());
        assert!(file.key(&dir.path().join("nothing/kv")).is_err());
    }
}
