//! Loads a configuration from a file, the environment and the program.

#[cfg(feature = "config-file")]
mod document;
mod environment;
#[cfg(feature = "config-file")]
mod file;
#[cfg(feature = "config-file")]
mod file_source;
mod ignored;
#[cfg(feature = "config-file")]
mod json;
mod loaded;
#[cfg(feature = "config-file")]
mod masking;
mod names;
mod reader;
mod redacted;
mod small_file;
mod sources;
mod spelling;
#[cfg(feature = "config-file")]
mod toml;
mod tree;
mod typos;
#[cfg(feature = "config-file")]
mod walk;

#[cfg(feature = "config-file")]
use std::path::PathBuf;
use std::{collections::BTreeMap, ffi::OsString};

#[cfg(not(feature = "config-file"))]
use self::environment::refused_file;
#[cfg(feature = "config-file")]
pub use self::file::Format;
#[cfg(feature = "config-file")]
use self::{environment::named_file, file_source::FileSource};
pub use self::{
    ignored::{IgnoredBecause, IgnoredVariable},
    loaded::{EffectiveSetting, Loaded},
};
use self::{
    loaded::effective,
    names::Names,
    reader::Reader,
    redacted::Redacted,
    sources::{Layers, Places, Sources},
    tree::Tree,
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
/// or `host` applies to that side only. `table` reads the settings from a file of the application's own.
///
/// Files need the feature `config-file`. Without the feature the methods `file`, `text` and `table` do not exist, and the variable
/// `PLUGIN_CONFIG_FILE` is a fault that names the feature.
///
/// # Values
///
/// A value has the same text form in every layer. In a file it may also be a number, a boolean, an array or a table. Text that
/// begins with `file://` stands for the content of that file, without blanks around it. Certificates and keys keep the name of
/// the file. Empty text counts as not set. `none` unsets an optional setting.
#[derive(Debug, Clone, Default)]
#[must_use = "a loader does nothing until `host`, `plugin` or `load` is called"]
pub struct Loader {
    #[cfg(feature = "config-file")]
    file: FileSource,
    variables: BTreeMap<OsString, Redacted<OsString>>,
    code: Vec<(String, Redacted<String>)>,
}

impl Loader {
    /// Creates a loader without inputs, which returns the defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads this file. Without this call the loader reads the file that the variable `PLUGIN_CONFIG_FILE` names, if it is set.
    #[cfg(feature = "config-file")]
    pub fn file(self, path: impl Into<PathBuf>) -> Self {
        Self { file: self.file.path(path.into()), ..self }
    }

    /// Reads this text in place of a file. Error reports show the name.
    #[cfg(feature = "config-file")]
    pub fn text(self, name: impl Into<PathBuf>, text: impl Into<String>, format: Format) -> Self {
        Self { file: self.file.text(name.into(), text.into(), format), ..self }
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
    #[cfg(feature = "config-file")]
    pub fn table(self, name: impl AsRef<str>) -> Self {
        Self { file: self.file.table(name.as_ref()), ..self }
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
        let (file, file_layer) = self.file_layer(&names, &mut faults).unzip();
        let file_layer = file_layer.unwrap_or_default();
        let has_key = code.contains("private_key") || file_layer.contains("private_key");
        let environment = environment::read(&names, &self.variables, has_key, &mut faults);

        let layers = Layers { file: file_layer, environment: environment.tree, code };
        let sources = Sources::merge(layers, file, environment.chosen);

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

    /// The settings from the file, if there is a file and it can be read.
    #[cfg(feature = "config-file")]
    fn file_layer(&self, names: &Names, faults: &mut Vec<Fault>) -> Option<(Box<dyn Places>, Tree)> {
        self.file.layer(named_file(&self.variables), names, faults)
    }

    /// Refuses a file, because this program cannot read files.
    #[cfg(not(feature = "config-file"))]
    fn file_layer(&self, _: &Names, faults: &mut Vec<Fault>) -> Option<(Box<dyn Places>, Tree)> {
        faults.extend(refused_file(&self.variables));
        None
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

/// Logs warnings about probable typos, and returns the configuration.
fn warned<C>(loaded: Loaded<C>) -> C {
    typos::warn(&loaded.ignored);
    loaded.config
}
