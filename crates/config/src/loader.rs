//! Loads a configuration from a file, the environment and the program.

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

/// Loads a configuration from layers. The values that the program sets take precedence over the environment, the environment
/// over the file, and the file over the defaults.
///
/// The loader reads only its inputs: it searches for no file, and the environment is what [`env`](Self::env) passes.
///
/// ```
/// use rpcplugin_config::{ByteSize, Format, Loader};
///
/// let config = Loader::new()
///     .text("plugin.toml", "output_buffer = '4MiB'\n[rate_limit]\nrequests_per_second = 50", Format::Toml)
///     .env([("PLUGIN_OUTPUT_BUFFER", "8MiB")])
///     .set("workers", 2)
///     .plugin()?;
/// assert_eq!(config.output_buffer, ByteSize::mib(8), "a variable takes precedence over a file");
/// assert_eq!(config.rate_limit.map(|limit| limit.burst_capacity), Some(200), "the other settings have their defaults");
/// # Ok::<(), rpcplugin_config::ConfigError>(())
/// ```
///
/// # Files
///
/// A file is TOML, or JSON if its name ends in `.json`. Its keys are the names of [`settings`](crate::settings), with groups as
/// tables. One file can serve both sides. A key at the top applies to each side that has the setting. A key in the table `plugin`
/// or `host` applies to that side only. [`table`](Loader::table) reads the settings from a file of the application's own.
///
/// # Values
///
/// A value has the same text form in every layer. In a file it may also be a number, a boolean, an array or a table. Text that
/// begins with `file://` stands for the content of that file, without blanks around it. Certificates and keys keep the name of
/// the file. Empty text counts as not set. `none` unsets an optional setting.
#[derive(Debug, Clone, Default)]
#[must_use = "a loader does nothing until `host`, `plugin` or `load` is called"]
pub struct Loader {
    file: Option<FileSource>,
    /// The path of the table with the settings. If it is empty, the whole file has settings.
    table: Vec<String>,
    variables: BTreeMap<OsString, Redacted<OsString>>,
    code: Vec<(String, Redacted<String>)>,
}

impl Loader {
    /// Creates a loader without inputs, which returns the defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads this file. Without this call the loader reads the file that the variable `PLUGIN_CONFIG_FILE` names, if it is set.
    pub fn file(self, path: impl Into<PathBuf>) -> Self {
        Self { file: Some(FileSource::Path(path.into())), ..self }
    }

    /// Reads this text in place of a file. Error reports show the name.
    pub fn text(self, name: impl Into<PathBuf>, text: impl Into<String>, format: Format) -> Self {
        Self { file: Some(FileSource::Text(name.into(), Redacted(text.into()), format)), ..self }
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
        Self { table: names.map(str::to_owned).collect(), ..self }
    }

    /// Adds environment variables. A variable replaces an earlier one with the same name.
    pub fn env<K: Into<OsString>, V: Into<OsString>>(
        mut self,
        variables: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        self.variables
            .extend(variables.into_iter().map(|(name, value)| (name.into(), Redacted(value.into()))));
        self
    }

    /// Adds the environment of this process, as it is now.
    pub fn process_env(self) -> Self {
        self.env(std::env::vars_os())
    }

    /// Sets a setting. The value takes precedence over files and variables. The name is that of the setting, such as
    /// `http2.max_frame`, of its variable, or of pyvider's field.
    #[expect(clippy::needless_pass_by_value, reason = "callers pass numbers without a borrow")]
    pub fn set(mut self, name: impl Into<String>, value: impl ToString) -> Self {
        self.code.push((name.into(), Redacted(value.to_string())));
        self
    }

    /// Loads the configuration of a plugin. A variable that is probably a [typo](IgnoredVariable::is_typo) is logged once in a
    /// process: as a tracing event, or on stderr if there is no subscriber.
    ///
    /// # Errors
    /// [`ConfigError`] with every fault.
    pub fn plugin(&self) -> Result<PluginConfig, ConfigError> {
        self.load().map(warned)
    }

    /// Loads the configuration of a host. A variable that is probably a [typo](IgnoredVariable::is_typo) is logged once in a
    /// process: as a tracing event, or on stderr if there is no subscriber.
    ///
    /// # Errors
    /// [`ConfigError`] with every fault.
    pub fn host(&self) -> Result<HostConfig, ConfigError> {
        self.load().map(warned)
    }

    /// Loads a configuration, and returns it with the origin of each value and with the variables that were ignored. Logs no
    /// warnings.
    ///
    /// # Errors
    /// [`ConfigError`] with every fault.
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

    /// The text of the file, if there is a file and it can be read.
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

/// Logs warnings about probable typos, and returns the configuration.
fn warned<C>(loaded: Loaded<C>) -> C {
    typos::warn(&loaded.ignored);
    loaded.config
}
