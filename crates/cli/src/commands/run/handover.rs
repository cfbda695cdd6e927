//! The file with the handover. It holds a key, and goes with the plugin.

use std::{
    fs::{self, File},
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
};

use miette::{IntoDiagnostic as _, WrapErr as _};
use rpcplugin::Plugin;
use serde_json::Value;
use tempfile::NamedTempFile;

use crate::{
    error::{CommandError, UsageError},
    os::FileId,
};

/// A place for the file, made before there is a plugin: it is not started for a file that cannot be written.
#[derive(Debug)]
pub(super) struct HandoverPlace<'a> {
    path: &'a Path,
    /// Beside the place, and put there when it is whole.
    file: NamedTempFile,
}

/// The file. Dropping it removes it, unless something else is in its place by then.
#[derive(Debug)]
pub(super) struct HandoverFile {
    path: PathBuf,
    file: File,
    text: String,
}

impl<'a> HandoverPlace<'a> {
    /// # Errors
    /// [`UsageError`] where there is something that no run has written, or no file can be.
    pub(super) fn at(path: &'a Path) -> Result<Self, UsageError> {
        free_or_of_a_run(path)?;
        let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
        // Only its owner may read a temporary file.
        let file = tempfile::Builder::new().prefix(".rpcplugin-").tempfile_in(dir).map_err(|error| {
            let help = "name with --handover a file in a directory that is there and may be written to";
            UsageError::new(format!("{} cannot be written: {error}", path.display()), help)
        })?;
        Ok(Self { path, file })
    }

    /// Puts the file there.
    pub(super) fn write(mut self, plugin: &Plugin) -> Result<HandoverFile, CommandError> {
        let cannot = || format!("cannot write {}", self.path.display());
        let text = format!("{}\n", signed(&plugin.handover().to_json()));
        self.file.write_all(text.as_bytes()).into_diagnostic().wrap_err_with(cannot)?;
        // While the plugin started, another may have come.
        free_or_of_a_run(self.path)?;
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
    /// Whether the path still leads to this file, as it was written.
    fn is_in_place(&self) -> io::Result<bool> {
        let (own, there) = (self.file.metadata()?, fs::symlink_metadata(&self.path)?);
        Ok(FileId::of(&own) == FileId::of(&there) && fs::read_to_string(&self.path)? == self.text)
    }
}

impl Drop for HandoverFile {
    fn drop(&mut self) {
        if self.is_in_place().unwrap_or(false) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Nothing is at the path, or what a run has left there that was killed.
fn free_or_of_a_run(path: &Path) -> Result<(), UsageError> {
    let refused = |why: String| {
        let help = "name with --handover a file that is not there yet, or one that an earlier run has left";
        Err(UsageError::new(format!("{} {why}", path.display()), help))
    };
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => refused(format!("cannot be looked at: {error}")),
        Ok(there) if !there.is_file() => refused("is there, and is no file".to_owned()),
        Ok(_) => match is_a_handover(path) {
            Ok(true) => Ok(()),
            Ok(false) => refused("is there, and no run has written it".to_owned()),
            Err(error) => refused(format!("is there, and cannot be read: {error}")),
        },
    }
}

/// The handover with the name of this command, by which a later run knows what it may replace.
fn signed(handover: &str) -> Value {
    let mut handover: Value = serde_json::from_str(handover).unwrap_or_default();
    if let Some(members) = handover.as_object_mut() {
        members.insert(WRITTEN_BY.to_owned(), RUN.into());
    }
    handover
}

/// Whether a run has written the file.
fn is_a_handover(path: &Path) -> io::Result<bool> {
    let mut start = Vec::new();
    File::open(path)?.take(LONGEST).read_to_end(&mut start)?;
    Ok(serde_json::from_slice::<Value>(&start).is_ok_and(|json| json[WRITTEN_BY] == RUN))
}

const WRITTEN_BY: &str = "WrittenBy";
const RUN: &str = "rpcplugin run";

/// No handover is as long.
const LONGEST: u64 = 64 << 10;
