//! Named configurations.

use std::{collections::BTreeMap, path::PathBuf};

use miette::Diagnostic;

use crate::{
    catalog::Configuration,
    error::ConfigError,
    loader::{Format, Loader},
    schema::RenderedSetting,
};

/// Configurations by name: of a host with many plugins, or of a program with many roles.
///
/// Each is checked before it gets in, so that what comes out can be used. Nothing reads a registry by itself.
///
/// ```
/// use rpcplugin_config::{HostConfig, Registry};
///
/// let mut registry = Registry::<HostConfig>::new();
/// registry.register("default", HostConfig::default())?;
/// registry.update("default", [("grace", "5s")])?;
/// assert!(registry.register("default", HostConfig::default()).is_err(), "a name is taken once");
/// assert!(registry.export("default")?.contains("grace = \"5s\""));
/// # Ok::<(), rpcplugin_config::RegistryError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Registry<C> {
    configs: BTreeMap<String, C>,
}

/// Why a registry did not do what was asked. It is as it was before.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[non_exhaustive]
pub enum RegistryError {
    /// There is a configuration of this name already.
    #[error("there is a configuration named {name:?} already")]
    #[diagnostic(
        code(rpcplugin::config::registry_name_taken),
        help("update the one that is there, or unregister it first")
    )]
    NameTaken {
        /// The name.
        name: String,
    },
    /// There is no configuration of this name.
    #[error("there is no configuration named {name:?}")]
    #[diagnostic(
        code(rpcplugin::config::registry_unknown_name),
        help("register it first; names are case-sensitive")
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
        /// What is wrong with it.
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
    /// An empty registry.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a configuration.
    ///
    /// # Errors
    /// [`RegistryError::NameTaken`], or [`Invalid`](RegistryError::Invalid) when its values do not go together.
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

    /// The configuration of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&C> {
        self.configs.get(name)
    }

    /// All names, in alphabetical order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.configs.keys().map(String::as_str)
    }

    /// Changes some settings of a configuration, each given by its name and its value as one would write it.
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

    /// Removes a configuration, and returns it if there was one.
    pub fn unregister(&mut self, name: &str) -> Option<C> {
        self.configs.remove(name)
    }

    /// Removes all configurations.
    pub fn clear(&mut self) {
        self.configs.clear();
    }

    /// A configuration as the text of a TOML file, with a remark in place of each secret.
    ///
    /// # Errors
    /// [`RegistryError::UnknownName`].
    pub fn export(&self, name: &str) -> Result<String, RegistryError> {
        self.get(name).map(|config| to_toml(config, false)).ok_or_else(|| unknown(name))
    }

    /// A configuration as the text of a TOML file, secrets included. Guard it like a private key.
    ///
    /// # Errors
    /// [`RegistryError::UnknownName`].
    pub fn export_with_secrets(&self, name: &str) -> Result<String, RegistryError> {
        self.get(name).map(|config| to_toml(config, true)).ok_or_else(|| unknown(name))
    }

    /// Every configuration by name, exported without secrets.
    #[must_use]
    pub fn export_all(&self) -> BTreeMap<String, String> {
        self.configs.iter().map(|(name, config)| (name.clone(), to_toml(config, false))).collect()
    }

    /// Adds a configuration from the text of a TOML file, such as one that was exported.
    ///
    /// # Errors
    /// [`RegistryError::NameTaken`], or [`Invalid`](RegistryError::Invalid) with every fault in the text.
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
