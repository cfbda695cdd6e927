//! Named configurations.

use std::collections::BTreeMap;
#[cfg(feature = "config-file")]
use std::path::PathBuf;

use miette::Diagnostic;

#[cfg(feature = "config-file")]
use crate::loader::Format;
use crate::{catalog::Configuration, error::ConfigError, loader::Loader, schema::RenderedSetting};

/// Configurations by name, for a host with many plugins or a program with many roles.
///
/// Each configuration is checked before it is added. The library does not read a registry by itself. `export` and `import` need the
/// feature `config-file`.
///
/// ```
/// use rpcplugin_config::{HostConfig, Registry};
///
/// let mut registry = Registry::<HostConfig>::new();
/// registry.register("default", HostConfig::default())?;
/// registry.update("default", [("grace", "5s")])?;
/// assert!(registry.register("default", HostConfig::default()).is_err(), "the name is taken");
/// assert!(registry.export("default")?.contains("grace = \"5s\""));
/// # Ok::<(), rpcplugin_config::RegistryError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Registry<C> {
    configs: BTreeMap<String, C>,
}

/// An error of a registry. The registry is unchanged.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[non_exhaustive]
pub enum RegistryError {
    /// The registry already has a configuration with this name.
    #[error("the registry already has a configuration named {name:?}")]
    #[diagnostic(
        code(rpcplugin::config::registry_name_taken),
        help("update the configuration, or unregister it first")
    )]
    NameTaken {
        /// The name.
        name: String,
    },
    /// The registry has no configuration with this name.
    #[error("the registry has no configuration named {name:?}")]
    #[diagnostic(
        code(rpcplugin::config::registry_unknown_name),
        help("register the configuration first; names are case-sensitive")
    )]
    UnknownName {
        /// The name.
        name: String,
    },
    /// The configuration cannot be used.
    #[error("the configuration named {name:?} cannot be used")]
    #[diagnostic(code(rpcplugin::config::registry_invalid))]
    Invalid {
        /// The name.
        name: String,
        /// The faults.
        #[source]
        #[diagnostic_source]
        source: ConfigError,
    },
}

impl<C> Default for Registry<C> {
    fn default() -> Self {
        Self { configs: BTreeMap::new() }
    }
}

impl<C: Configuration> Registry<C> {
    /// Creates an empty registry.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a configuration.
    ///
    /// # Errors
    /// [`RegistryError::NameTaken`], or [`Invalid`](RegistryError::Invalid) with every fault in the configuration.
    pub fn register(&mut self, name: impl Into<String>, config: C) -> Result<(), RegistryError> {
        let name = name.into();
        if self.configs.contains_key(&name) {
            return Err(RegistryError::NameTaken { name });
        }
        if let Err(source) = config.checked() {
            return Err(RegistryError::Invalid { name, source });
        }
        self.configs.insert(name, config);
        Ok(())
    }

    /// The configuration with this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&C> {
        self.configs.get(name)
    }

    /// All names, in alphabetical order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.configs.keys().map(String::as_str)
    }

    /// Changes settings of a configuration, each by its name and its value as text.
    ///
    /// # Errors
    /// [`RegistryError::UnknownName`], or [`Invalid`](RegistryError::Invalid) with every fault in the changes.
    pub fn update<K: Into<String>, V: ToString>(
        &mut self,
        name: &str,
        changes: impl IntoIterator<Item = (K, V)>,
    ) -> Result<(), RegistryError> {
        let config = self.configs.get_mut(name).ok_or_else(|| unknown(name))?;
        let written = written(config);
        let before = written
            .into_iter()
            .fold(Loader::new(), |loader, RenderedSetting { name, text, .. }| loader.set(name, text));
        let after = changes.into_iter().fold(before, |loader, (setting, value)| loader.set(setting, value));
        let loaded =
            after.load().map_err(|source| RegistryError::Invalid { name: name.to_owned(), source })?;
        *config = loaded.config;
        Ok(())
    }

    /// Removes a configuration and returns it.
    pub fn unregister(&mut self, name: &str) -> Option<C> {
        self.configs.remove(name)
    }

    /// Removes all configurations.
    pub fn clear(&mut self) {
        self.configs.clear();
    }

    /// Returns a configuration as TOML, with a comment in place of each secret.
    ///
    /// # Errors
    /// [`RegistryError::UnknownName`].
    #[cfg(feature = "config-file")]
    pub fn export(&self, name: &str) -> Result<String, RegistryError> {
        self.get(name).map(|config| to_toml(config, false)).ok_or_else(|| unknown(name))
    }

    /// Returns a configuration as TOML, secrets included. Protect the text like a private key.
    ///
    /// # Errors
    /// [`RegistryError::UnknownName`].
    #[cfg(feature = "config-file")]
    pub fn export_with_secrets(&self, name: &str) -> Result<String, RegistryError> {
        self.get(name).map(|config| to_toml(config, true)).ok_or_else(|| unknown(name))
    }

    /// Returns every configuration as TOML by name, without secrets.
    #[cfg(feature = "config-file")]
    #[must_use]
    pub fn export_all(&self) -> BTreeMap<String, String> {
        self.configs.iter().map(|(name, config)| (name.clone(), to_toml(config, false))).collect()
    }

    /// Adds a configuration from TOML, such as an export.
    ///
    /// # Errors
    /// [`RegistryError::NameTaken`], or [`Invalid`](RegistryError::Invalid) with every fault in the text.
    #[cfg(feature = "config-file")]
    pub fn import(&mut self, name: impl Into<String>, toml: &str) -> Result<(), RegistryError> {
        let name = name.into();
        match Loader::new().text(PathBuf::from(&name), toml, Format::Toml).load() {
            Ok(loaded) => self.register(name, loaded.config),
            Err(source) => Err(RegistryError::Invalid { name, source }),
        }
    }
}

fn unknown(name: &str) -> RegistryError {
    RegistryError::UnknownName { name: name.to_owned() }
}

fn written(config: &impl Configuration) -> Vec<RenderedSetting> {
    let mut written = Vec::new();
    config.write("", &mut written);
    written
}

#[cfg(feature = "config-file")]
fn to_toml(config: &impl Configuration, with_secrets: bool) -> String {
    let line = |RenderedSetting { name, text, secret }| {
        if secret && !with_secrets {
            format!("# {name} is a secret and was not exported.\n")
        } else {
            format!("{name} = {}\n", toml_edit::Value::from(text))
        }
    };
    written(config).into_iter().map(line).collect()
}
