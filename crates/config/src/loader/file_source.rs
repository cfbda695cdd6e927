//! The file of a loader.

use std::{ffi::OsStr, path::PathBuf};

use super::{
    Loader,
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
    from: Option<From>,
    /// The path of the table with the settings. If it is empty, the whole file has settings.
    table: Vec<String>,
}

#[derive(Debug, Clone)]
enum From {
    Path(PathBuf),
    Text(PathBuf, Redacted<String>, Format),
}

impl Loader {
    /// Reads this file. Without this call the loader reads the file that the variable `PLUGIN_CONFIG_FILE` names, if it is set.
    pub fn file(self, path: impl Into<PathBuf>) -> Self {
        let file = FileSource { from: Some(From::Path(path.into())), ..self.file };
        Self { file, ..self }
    }

    /// Reads this text in place of a file. Error reports show the name.
    pub fn text(self, name: impl Into<PathBuf>, text: impl Into<String>, format: Format) -> Self {
        let from = Some(From::Text(name.into(), Redacted(text.into()), format));
        Self { file: FileSource { from, ..self.file }, ..self }
    }

    /// Reads one table of the file and ignores the rest, which belongs to the application. Dots separate the names of nested
    /// tables: `tool.my-host`. The table has the same form as a whole file, including the tables `plugin` and `host`. A file
    /// without the table sets nothing.
    ///
    /// ```
    /// use rpcplugin_config::{Format, Loader};
    ///
    /// let file = "colour = 'blue'\n[plugins]\nmin_port = 20000\n[plugins.supervision]\nmax_restarts = 3";
    /// let config = Loader::new().text("my-host.toml", file, Format::Toml).table("plugins").host()?;
    /// assert_eq!((*config.tcp_ports.numbers().start(), config.supervision.max_restarts), (20000, 3));
    /// # Ok::<(), rpcplugin_config::ConfigError>(())
    /// ```
    pub fn table(self, name: impl AsRef<str>) -> Self {
        let names = name.as_ref().split('.').map(str::trim).filter(|name| !name.is_empty());
        let table = names.map(str::to_owned).collect();
        Self { file: FileSource { table, ..self.file }, ..self }
    }
}

impl FileSource {
    /// The settings from the file, and their places. `named` is the file that a variable names.
    pub(super) fn layer(
        &self,
        named: Option<&OsStr>,
        names: &Names,
        faults: &mut Vec<Fault>,
    ) -> Option<(Box<dyn Places>, Tree)> {
        let text = match &self.from {
            Some(From::Text(name, text, format)) => Ok(FileText::new(name.clone(), text.0.clone(), *format)),
            Some(From::Path(path)) => FileText::open(path),
            None => FileText::open(named?.as_ref()),
        };
        let text = text.map_err(|fault| faults.push(*fault)).ok()?;
        let (text, tree) = text.layer(&self.table, names, faults)?;
        Some((Box::new(text), tree))
    }
}
