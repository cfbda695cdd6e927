//! From files, the environment and the program to one configuration.

mod document;
mod environment;
mod file;
mod ignored;
mod json;
mod loaded;
mod masking;
mod names;
mod reader;
mod redacted;
mod small_file;
mod sources;
mod spelling;
mod toml;
mod tree;
mod typos;
mod walk;

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    path::PathBuf,
};

use self::{
    environment::CONFIG_FILE,
    file::FileText,
    loaded::effective,
    names::Names,
    reader::Reader,
    redacted::Redacted,
    sources::{Layers, Sources},
    tree::Tree,
};
pub use self::{
    file::Format,
    ignored::{IgnoredBecause, IgnoredVariable},
    loaded::{EffectiveSetting, Loaded},
};
use crate::{
    catalog::Configuration,
    error::{ConfigError, Fault, Origin},
    tables::{HostConfig, PluginConfig, legacy_settings},
};

/// Reads a configuration: defaults, under a file, under the environment, under what the program sets.
///
/// Nothing is read but what is given: no file is looked for, and the environment is whatever [`env`](Self::env) hands
/// over.
///
/// ```
/// use rpcplugin_config::{ByteSize, Format, Loader};
///
/// let config = Loader::new()
///     .text("plugin.toml", "output_buffer = '4MiB'\n[rate_limit]\nrequests_per_second = 50", Format::Toml)
///     .env([("PLUGIN_OUTPUT_BUFFER", "8MiB")])
///     .set("workers", 2)
///     .plugin()?;
/// assert_eq!(config.output_buffer, ByteSize::mib(8), "a variable counts more than a file");
/// assert_eq!(config.rate_limit.map(|limit| limit.burst_capacity), Some(200), "the rest is as documented");
/// # Ok::<(), rpcplugin_config::ConfigError>(())
/// ```
///
/// # Files
///
/// A file is TOML, or JSON if its name ends in `.json`. Its keys are the names of [`settings`](crate::settings), with
/// groups as tables. One file can serve both sides: a key at the top is for each side that has such a setting, and
/// one in the table `plugin` or `host` for that side only. [`table`](Loader::table) shares a file with settings of the
/// application's own.
///
/// # Values
///
/// A value is written alike everywhere, as text; a file may also write numbers, truth values, arrays and tables as
/// such. Text that begins with `file://` is replaced by what is in that file, without blanks around it; of
/// certificates and keys the file's name is kept. Empty text counts as not set, and `none` takes away what can be
/// missing.
#[derive(Debug, Clone, Default)]
#[must_use = "a loader does nothing until it is asked for a configuration"]
pub struct Loader {
    file: Option<FileSource>,
    /// The names on the way to the table of the file that is read. Without any it is the whole file.
    table: Vec<String>,
    variables: BTreeMap<OsString, Redacted<OsString>>,
    code: Vec<(String, Redacted<String>)>,
}

impl Loader {
    /// A loader of nothing but defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads this file. Without it, the file that the variable `PLUGIN_CONFIG_FILE` names, if it is set.
    pub fn file(self, path: impl Into<PathBuf>) -> Self {
        Self { file: Some(FileSource::Path(path.into())), ..self }
    }

    /// Reads this text as if it stood in a file of that name.
    pub fn text(self, name: impl Into<PathBuf>, text: impl Into<String>, format: Format) -> Self {
        Self { file: Some(FileSource::Text(name.into(), Redacted(text.into()), format)), ..self }
    }

    /// Reads one table of the file, and passes over the rest: that is the application's own. The name of a table within
    /// others is written with dots, `tool.my-host`. Within the table everything is as in a file of its own, tables `plugin`
    /// and `host` included. A file without the table sets nothing.
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
        Self { table: names.map(str::to_owned).collect(), ..self }
    }

    /// Reads these environment variables. Those given earlier stay, unless they have the same names.
    pub fn env<K: Into<OsString>, V: Into<OsString>>(
        mut self,
        variables: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        self.variables
            .extend(variables.into_iter().map(|(name, value)| (name.into(), Redacted(value.into()))));
        self
    }

    /// Reads the environment of this process, as it is now.
    pub fn process_env(self) -> Self {
        self.env(std::env::vars_os())
    }

    /// Sets a setting, whatever files and variables say. The name is that of the setting, `http2.max_frame`, or, for
    /// those who come from pyvider, that of its variable or of pyvider's field.
    #[expect(clippy::needless_pass_by_value, reason = "a number is set without a borrow of it")]
    pub fn set(mut self, name: impl Into<String>, value: impl ToString) -> Self {
        self.code.push((name.into(), Redacted(value.to_string())));
        self
    }

    /// The configuration of a plugin. A variable that looks like a [slip](IgnoredVariable::is_typo) is warned of, once in a
    /// process: as an event of tracing, or on stderr where that has no subscriber.
    ///
    /// # Errors
    /// [`ConfigError`] with every fault that was found.
    pub fn plugin(&self) -> Result<PluginConfig, ConfigError> {
        self.load().map(warned)
    }

    /// The configuration of a host. A variable that looks like a [slip](IgnoredVariable::is_typo) is warned of, once in a
    /// process: as an event of tracing, or on stderr where that has no subscriber.
    ///
    /// # Errors
    /// [`ConfigError`] with every fault that was found.
    pub fn host(&self) -> Result<HostConfig, ConfigError> {
        self.load().map(warned)
    }

    /// The configuration, where each part of it comes from, and what was ignored. Nothing is warned of.
    ///
    /// # Errors
    /// [`ConfigError`] with every fault that was found.
    pub fn load<C: Configuration>(&self) -> Result<Loaded<C>, ConfigError> {
        let names = Names::of(C::SIDE);
        let mut faults = Vec::new();
        let code = self.code_layer(&names, &mut faults);
        let file = self.file_text(&mut faults).and_then(|file| file.layer(&self.table, &names, &mut faults));
        let (file, file_layer) = file.unzip();
        let file_layer = file_layer.unwrap_or_default();
        let has_key = code.contains("private_key") || file_layer.contains("private_key");
        let environment = environment::read(&names, &self.variables, has_key, &mut faults);

        let layers = Layers { file: file_layer, environment: environment.tree, code };
        let sources = Sources::merge(&names, layers, file, environment.chosen);

        let mut reader = Reader::new(&sources, &names, faults);
        let config = C::read(&mut reader, "");
        let (faults, joined) = reader.finish(&config);
        ConfigError::from_faults(C::SIDE, faults)?;
        Ok(Loaded {
            effective: effective(&config, joined, &names, &sources),
            config,
            ignored: environment.ignored,
        })
    }

    /// The file to read, if there is one and it can be read.
    fn file_text(&self, faults: &mut Vec<Fault>) -> Option<FileText> {
        let named =
            self.variables.get(OsStr::new(CONFIG_FILE)).map(|path| &path.0).filter(|path| !path.is_empty());
        let text = match &self.file {
            Some(FileSource::Text(name, text, format)) => {
                Ok(FileText::new(name.clone(), text.0.clone(), *format))
            }
            Some(FileSource::Path(path)) => FileText::open(path),
            None => FileText::open(named?.as_ref()),
        };
        text.map_err(|fault| faults.push(*fault)).ok()
    }

    fn code_layer(&self, names: &Names, faults: &mut Vec<Fault>) -> Tree {
        let mut tree = Tree::default();
        for (name, value) in &self.code {
            if let Some(setting) = names.setting_called(name) {
                tree.insert(&setting.name, value.0.trim());
            } else if let Some(legacy) = legacy_settings().iter().find(|legacy| legacy.is_called(name)) {
                faults.extend(legacy.refuse(name, &value.0).map(|kind| Fault::new(kind, Origin::Code)));
            } else {
                faults.push(Fault::new(names.unknown(name), Origin::Code));
            }
        }
        tree
    }
}

#[derive(Debug, Clone)]
enum FileSource {
    Path(PathBuf),
    Text(PathBuf, Redacted<String>, Format),
}

/// A configuration, once what looks like a slip in it has been warned of.
fn warned<C>(loaded: Loaded<C>) -> C {
    typos::warn(&loaded.ignored);
    loaded.config
}
