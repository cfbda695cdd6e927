//! The store of things: a directory with one JSON file for each.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::fs;
use tokio::io::AsyncWriteExt as _;

use super::diagnostics::{Diagnostic, Diagnostics};
use super::value::{Object, Type, Value};

/// A directory of things.
#[derive(Debug, Clone)]
pub(crate) struct Store(Arc<Option<PathBuf>>);

impl Store {
    /// The store in this directory. Without a directory, every use of the store fails.
    pub(crate) fn new(directory: Option<PathBuf>) -> Self {
        Self(Arc::new(directory))
    }

    /// The thing with this id, if it exists.
    pub(crate) async fn read(&self, id: &str, ty: &Type) -> Result<Option<Object>, Diagnostics> {
        // An id that cannot be a file name, perhaps from an import, has no thing.
        let Some(path) = self.file(&format!("{id}.json"))? else { return Ok(None) };
        let json = match fs::read(&path).await {
            Ok(json) => json,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed("read", &path, &error)),
        };
        match Value::from_json(&json, ty) {
            Ok(Value::Object(thing)) => Ok(Some(thing)),
            Ok(_) => Err(failed("read", &path, &io::Error::other("not an object"))),
            Err(error) => Err(failed("read", &path, &io::Error::other(error))),
        }
    }

    /// Writes the thing with this id atomically.
    pub(crate) async fn write(&self, id: &str, thing: &Object) -> Result<(), Diagnostics> {
        let path = self.file(&format!("{id}.json"))?.ok_or_else(|| no_file_name(id))?;
        let new = path.with_extension("new");
        let written = async {
            let directory = path.parent().unwrap_or(&path);
            fs::create_dir_all(directory).await?;
            fs::write(&new, serde_json::to_vec(thing)?).await?;
            fs::rename(&new, &path).await
        };
        written.await.map_err(|error| failed("write", &path, &error))
    }

    /// Removes the thing with this id, if it exists.
    pub(crate) async fn remove(&self, id: &str) -> Result<(), Diagnostics> {
        let Some(path) = self.file(&format!("{id}.json"))? else { return Ok(()) };
        match fs::remove_file(&path).await {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(failed("remove", &path, &error)),
            _ => Ok(()),
        }
    }

    /// Appends one byte to a file of this name.
    pub(crate) async fn mark(&self, name: &str) -> Result<(), Diagnostics> {
        let path = self.file(name)?.ok_or_else(|| no_file_name(name))?;
        let marked = async {
            fs::create_dir_all(path.parent().unwrap_or(&path)).await?;
            let mut file = fs::OpenOptions::new().create(true).append(true).open(&path).await?;
            file.write_all(b".").await?;
            file.flush().await
        };
        marked.await.map_err(|error| failed("write", &path, &error))
    }

    /// The path of a file in the store. Fails if the name leads out of the store.
    fn file(&self, name: &str) -> Result<Option<PathBuf>, Diagnostics> {
        let missing = || Diagnostic::error("No store").detail("DEMO_STORE must name a directory");
        let directory = self.0.as_ref().as_ref().ok_or_else(missing)?;
        let stays = !name.contains(['/', '\\', '\0']) && name.len() <= MAX_NAME;
        Ok(stays.then(|| directory.join(name)))
    }
}

fn no_file_name(name: &str) -> Diagnostic {
    Diagnostic::error("Store cannot be used").detail(format!("{name:?} cannot be the name of a file"))
}

fn failed(what: &str, path: &Path, error: &io::Error) -> Diagnostics {
    let detail = format!("cannot {what} {}: {error}", path.display());
    Diagnostic::error("Store cannot be used").detail(detail).into()
}

/// The longest file name on common systems.
const MAX_NAME: usize = 255;
