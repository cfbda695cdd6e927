//! The handover file. It has a key, and is removed when the plugin ends.

use std::{
    fs::{self, File},
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
};

use miette::{IntoDiagnostic as _, WrapErr as _};
use rpcplugin::{Plugin, handshake::ReattachConfig};
use serde_json::Value;
use tempfile::NamedTempFile;

use crate::{
    error::{CommandError, UsageError},
    os::FileId,
};

/// A temporary file beside the path of the handover file. It is created before the launch, so that a wrong path fails immediately.
#[derive(Debug)]
pub(super) struct PendingHandover<'a> {
    path: &'a Path,
    /// Renamed to `path` when it is complete.
    file: NamedTempFile,
}

/// The handover file. Dropping this removes the file, unless another file has taken its place.
#[derive(Debug)]
pub(super) struct HandoverFile {
    path: PathBuf,
    file: File,
    text: String,
}

impl<'a> PendingHandover<'a> {
    /// # Errors
    /// [`UsageError`] if the path has a file that is not from an earlier run, or if no file can be created.
    pub(super) fn at(path: &'a Path) -> Result<Self, UsageError> {
        check_replaceable(path)?;
        let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
        // A temporary file has mode 0600.
        let file = tempfile::Builder::new().prefix(".rpcplugin-").tempfile_in(dir).map_err(|error| {
            let help = "name a file in a writable directory with --handover";
            UsageError::new(format!("{} cannot be written: {error}", path.display()), help)
        })?;
        Ok(Self { path, file })
    }

    /// Writes the file.
    pub(super) fn write(self, plugin: &Plugin) -> Result<HandoverFile, CommandError> {
        self.write_for(plugin, &plugin.reattach_config())
    }

    /// Writes the file, with the address, the process and the mode of this configuration in the place of the plugin's.
    pub(super) fn write_for(
        mut self,
        plugin: &Plugin,
        config: &ReattachConfig,
    ) -> Result<HandoverFile, CommandError> {
        let cannot = || format!("cannot write {}", self.path.display());
        let text = format!("{}\n", with_origin(&plugin.handover().to_json(), config));
        self.file.write_all(text.as_bytes()).into_diagnostic().wrap_err_with(cannot)?;
        // The file may have been created during the launch.
        check_replaceable(self.path)?;
        let path = self.path.to_owned();
        let file = match fs::symlink_metadata(&path) {
            Ok(_) => self.file.persist(&path),
            Err(_) => self.file.persist_noclobber(&path),
        };
        let file = file.into_diagnostic().wrap_err_with(|| format!("cannot write {}", path.display()))?;
        Ok(HandoverFile { path, file, text })
    }
}

impl HandoverFile {
    /// Whether the path still has this file with its content.
    fn is_in_place(&self) -> io::Result<bool> {
        let (own, current) = (self.file.metadata()?, fs::symlink_metadata(&self.path)?);
        Ok(FileId::of(&own) == FileId::of(&current) && fs::read_to_string(&self.path)? == self.text)
    }
}

impl Drop for HandoverFile {
    fn drop(&mut self) {
        if self.is_in_place().unwrap_or(false) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Checks that there is no file at the path, or only one from an earlier run that was killed.
fn check_replaceable(path: &Path) -> Result<(), UsageError> {
    let refused = |why: String| {
        let help =
            "name a file with --handover that does not exist, or that is left over from an earlier run";
        Err(UsageError::new(format!("{} {why}", path.display()), help))
    };
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => refused(format!("cannot be examined: {error}")),
        Ok(there) if !there.is_file() => refused("exists and is not a file".to_owned()),
        Ok(_) => match is_a_handover(path) {
            Ok(true) => Ok(()),
            Ok(false) => refused("exists and is not from an earlier run".to_owned()),
            Err(error) => refused(format!("exists and cannot be read: {error}")),
        },
    }
}

/// Adds the name of this command, so that a later run recognizes the file.
fn with_origin(handover: &str, config: &ReattachConfig) -> Value {
    let mut handover: Value = serde_json::from_str(handover).unwrap_or_default();
    let config: Value = serde_json::from_str(&config.to_string()).unwrap_or_default();
    if let Some(members) = handover.as_object_mut() {
        for name in ["Addr", "Pid", "Test"] {
            if let (Some(member), Some(value)) = (members.get_mut(name), config.get(name)) {
                member.clone_from(value);
            }
        }
        members.insert(WRITTEN_BY.to_owned(), RUN.into());
    }
    handover
}

/// Whether the file is from an earlier run.
fn is_a_handover(path: &Path) -> io::Result<bool> {
    let mut start = Vec::new();
    File::open(path)?.take(LONGEST).read_to_end(&mut start)?;
    Ok(serde_json::from_slice::<Value>(&start).is_ok_and(|json| json[WRITTEN_BY] == RUN))
}

const WRITTEN_BY: &str = "WrittenBy";
const RUN: &str = "rpcplugin run";

/// The maximum length of a handover file, in bytes.
const LONGEST: u64 = 64 << 10;
