//! The file of a loader.

use std::{ffi::OsStr, path::PathBuf};

use super::{
    file::{FileText, Format},
    names::Names,
    redacted::Redacted,
    sources::Places,
    tree::Tree,
};
use crate::error::Fault;

/// The file that a loader reads.
#[derive(Debug, Clone, Default)]
pub(super) struct FileSource {
    /// Without a source the loader reads the file that a variable names.
    from: Option<Source>,
    /// The path of the table with the settings. If it is empty, the whole file has settings.
    table: Vec<String>,
}

#[derive(Debug, Clone)]
enum Source {
    Path(PathBuf),
    Text(PathBuf, Redacted<String>, Format),
}

impl FileSource {
    /// Reads the file at this path.
    pub(super) fn path(self, path: PathBuf) -> Self {
        Self { from: Some(Source::Path(path)), ..self }
    }

    /// Reads this text.
    pub(super) fn text(self, name: PathBuf, text: String, format: Format) -> Self {
        Self { from: Some(Source::Text(name, Redacted(text), format)), ..self }
    }

    /// Reads one table. Dots separate the names of nested tables.
    pub(super) fn table(self, name: &str) -> Self {
        let names = name.split('.').map(str::trim).filter(|name| !name.is_empty());
        Self { table: names.map(str::to_owned).collect(), ..self }
    }

    /// The settings from the file, and their places. `named` is the file that a variable names.
    pub(super) fn layer(
        &self,
        named: Option<&OsStr>,
        names: &Names,
        faults: &mut Vec<Fault>,
    ) -> Option<(Box<dyn Places>, Tree)> {
        let text = match &self.from {
            Some(Source::Text(name, text, format)) => {
                Ok(FileText::new(name.clone(), text.0.clone(), *format))
            }
            Some(Source::Path(path)) => FileText::open(path),
            None => FileText::open(named?.as_ref()),
        };
        let text = text.map_err(|fault| faults.push(*fault)).ok()?;
        let (text, tree) = text.layer(&self.table, names, faults)?;
        Some((Box::new(text), tree))
    }
}
