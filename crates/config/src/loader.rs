//! From files, the environment and the program to one configuration.

mod environment;
mod file;
mod json;
mod reader;
mod slips;
mod toml;
mod tree;

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    path::PathBuf,
};

use figment::{
    Figment, Metadata, Profile, Provider,
    value::{Dict, Map, Value},
};

pub(crate) use self::reader::Reader;
pub use self::{
    environment::{IgnoredBecause, IgnoredVariable},
    file::Format,
};
use self::{file::FileText, tree::Tree};
use crate::{
    checks::check_made_in_code,
    error::{ConfigError, Fault, FaultKind, Origin},
    host::HostConfig,
    names::{Names, retired},
    plugin::PluginConfig,
    setting::{Group, Setting, Side, Written},
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
    variables: BTreeMap<OsString, Secret<OsString>>,
    code: Vec<(String, Secret<String>)>,
}

/// A configuration, and where each part of it comes from.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Loaded<C> {
    /// The configuration.
    pub config: C,
    /// Each setting with its value and where that comes from, in the order of [`settings`](crate::settings).
    pub in_force: Vec<EffectiveSetting>,
    /// Variables that look as if they were meant for this configuration, but have no part in it. They may be the
    /// application's own; a program does well to mention them once.
    pub ignored: Vec<IgnoredVariable>,
}

/// A setting as it is in force.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct EffectiveSetting {
    /// The setting.
    pub setting: &'static Setting,
    /// Its value, as one would write it, or `…` where it is a secret. In a group that is off, its default.
    pub value: String,
    /// Where the value comes from.
    pub origin: Origin,
}

/// [`PluginConfig`] or [`HostConfig`].
#[expect(private_bounds, reason = "the trait is sealed: the two structs of settings are all there are")]
pub trait Configuration: Sealed + Default + Clone {}

impl Configuration for PluginConfig {}
impl Configuration for HostConfig {}

/// What makes a struct of settings a configuration of one side.
pub(crate) trait Sealed: Group {
    const SIDE: Side;

    /// Whether the values are possible and go together.
    fn checked(&self) -> Result<(), ConfigError> {
        check_made_in_code(self, Self::SIDE)
    }
}

impl Sealed for PluginConfig {
    const SIDE: Side = Side::Plugin;
}

impl Sealed for HostConfig {
    const SIDE: Side = Side::Host;
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
        Self { file: Some(FileSource::Text(name.into(), Secret(text.into()), format)), ..self }
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
    /// assert_eq!((config.min_port, config.supervision.max_restarts), (20000, 3));
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
        self.variables.extend(variables.into_iter().map(|(name, value)| (name.into(), Secret(value.into()))));
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
        self.code.push((name.into(), Secret(value.to_string())));
        self
    }

    /// The configuration of a plugin. A variable that looks like a [slip](IgnoredVariable::is_slip) is warned of, once in a
    /// process: as an event of tracing, or on stderr where that has no subscriber.
    ///
    /// # Errors
    /// [`ConfigError`] with every fault that was found.
    pub fn plugin(&self) -> Result<PluginConfig, ConfigError> {
        self.load().map(warned)
    }

    /// The configuration of a host. A variable that looks like a [slip](IgnoredVariable::is_slip) is warned of, once in a
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

        let figment = Figment::new()
            .merge(Layer { name: DEFAULTS, tree: defaults(&names) })
            .merge(Layer { name: FILE, tree: file_layer })
            .merge(Layer { name: ENVIRONMENT, tree: environment.tree })
            .merge(Layer { name: CODE, tree: code });
        let sources = Sources { merged: merged(&figment), figment, file, variables: environment.chosen };

        let mut reader = Reader::new(&sources, &names, faults);
        let config = C::read(&mut reader, "");
        let (faults, joined) = reader.finish(&config);
        ConfigError::from_faults(C::SIDE, faults)?;
        Ok(Loaded {
            in_force: in_force(&config, joined, &names, &sources),
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
            } else if let Some(retired) = retired().iter().find(|retired| retired.is_called(name)) {
                faults.extend(retired.refuse(name, &value.0).map(|kind| Fault::new(kind, Origin::Code)));
            } else {
                faults.push(Fault::new(names.unknown(name), Origin::Code));
            }
        }
        tree
    }
}

/// The layers, merged, and what is needed to say where a value comes from.
pub(crate) struct Sources {
    figment: Figment,
    /// All settings. Figment would merge the layers anew for each one that is looked up.
    merged: Value,
    file: Option<FileText>,
    /// The variable from which a setting was taken.
    variables: BTreeMap<&'static str, &'static str>,
}

impl Sources {
    /// The text of a setting, and the layer that it comes from.
    fn find(&self, setting: &str) -> Option<(&str, &str)> {
        let value = self.merged.find_ref(setting)?;
        let layer = self.figment.get_metadata(value.tag()).map_or(DEFAULTS, |metadata| &metadata.name);
        value.as_str().map(|text| (text, layer))
    }

    /// Where a setting, or anything in a group of settings, was set.
    fn origin(&self, setting: &str) -> Origin {
        match self.find(setting) {
            Some((_, FILE)) => self.file.as_ref().map_or(Origin::Default, |file| file.origin(setting)),
            Some((_, ENVIRONMENT)) => self
                .variables
                .get(setting)
                .map_or(Origin::Default, |variable| Origin::Variable((*variable).to_owned())),
            Some((_, CODE)) => Origin::Code,
            _ => Origin::Default,
        }
    }

    /// The fault, with its place.
    fn fault(&self, setting: &str, kind: FaultKind) -> Fault {
        let origin = self.origin(setting);
        match (&origin, self.file.as_ref().and_then(|file| file.excerpt(setting))) {
            (Origin::File { .. }, Some(excerpt)) => Fault::in_file(kind, origin, excerpt),
            _ => Fault::new(kind, origin),
        }
    }
}

/// One layer of settings as figment takes it.
struct Layer {
    name: &'static str,
    tree: Tree,
}

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.name)
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        Ok(Profile::Default.collect(self.tree.to_dict()))
    }
}

#[derive(Debug, Clone)]
enum FileSource {
    Path(PathBuf),
    Text(PathBuf, Secret<String>, Format),
}

/// Text that may hold secrets, and so shows nothing of itself.
#[derive(Clone)]
struct Secret<T>(T);

impl<T> std::fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("…")
    }
}

fn defaults(names: &Names) -> Tree {
    let mut tree = Tree::default();
    for setting in names.settings() {
        tree.insert(&setting.name, setting.default);
    }
    tree
}

/// The settings of all layers, each with the tag of the layer that it comes from.
fn merged(figment: &Figment) -> Value {
    let settings = figment.data().ok().and_then(|mut profiles| profiles.remove(&Profile::Default));
    Value::from(settings.unwrap_or_default())
}

/// Each setting with its value. `written` has the values of settings that were joined, some of which may be without effect.
fn in_force<C: Configuration>(
    config: &C,
    mut written: Vec<Written>,
    names: &Names,
    sources: &Sources,
) -> Vec<EffectiveSetting> {
    config.write("", &mut written);
    let value = |setting: &Setting| match written.iter().find(|written| written.name == setting.name) {
        Some(Written { secret: true, .. }) if setting.secret => REDACTED.to_owned(),
        Some(written) => written.text.clone(),
        // Only groups that are off are not written.
        None => setting.default.to_owned(),
    };
    names
        .settings()
        .map(|setting| EffectiveSetting {
            setting,
            value: value(setting),
            origin: sources.origin(&setting.name),
        })
        .collect()
}

/// A configuration, once what looks like a slip in it has been warned of.
fn warned<C>(loaded: Loaded<C>) -> C {
    slips::warn(&loaded.ignored);
    loaded.config
}

/// The variable that names a configuration file.
pub(crate) const CONFIG_FILE: &str = "PLUGIN_CONFIG_FILE";

/// What stands for a secret.
const REDACTED: &str = "…";

/// The names of the layers.
const DEFAULTS: &str = "defaults";
const FILE: &str = "file";
const ENVIRONMENT: &str = "environment";
const CODE: &str = "code";
