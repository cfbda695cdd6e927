//! The metadata of a plugin as a value.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use semver::Version;

use super::{
    error::{MetadataError, MetadataField},
    text::{self, is_plain},
};

/// What a plugin is: its name, its version, facts about its build, its capabilities, and the oldest host that it works with.
///
/// [`plugin_metadata!`](crate::plugin_metadata) makes the metadata of a crate. The builder makes any other:
///
/// ```
/// use rpcplugin_core::{PluginMetadata, semver::Version};
///
/// let metadata = PluginMetadata::builder("weather", Version::new(1, 2, 0))
///     .capability("forecast.hourly")
///     .build_fact("commit", "3f1c2ab")
///     .minimum_host_version(Version::new(2, 0, 0))
///     .finish()?;
/// assert_eq!(metadata.to_string(), "weather 1.2.0");
/// assert!(metadata.has_capability("forecast.hourly"));
/// # Ok::<(), rpcplugin_core::MetadataError>(())
/// ```
///
/// # Limits
/// A name, a version and a capability have at most 128 bytes, the key of a build fact has at most 64, and its value at most 256. There are at
/// most 64 capabilities and 64 build facts. No text has a control character or `<`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluginMetadata {
    name: String,
    version: Version,
    build_facts: BTreeMap<String, String>,
    capabilities: BTreeSet<String>,
    minimum_host_version: Option<Version>,
}

/// Metadata that is being put together. Made by [`PluginMetadata::builder`].
#[derive(Debug, Clone)]
#[must_use = "`finish` makes the metadata"]
pub struct PluginMetadataBuilder(PluginMetadata);

impl PluginMetadata {
    /// Begins metadata with a name and a version.
    pub fn builder(name: impl Into<String>, version: Version) -> PluginMetadataBuilder {
        PluginMetadataBuilder(Self {
            name: name.into(),
            version,
            build_facts: BTreeMap::new(),
            capabilities: BTreeSet::new(),
            minimum_host_version: None,
        })
    }

    /// Makes metadata of texts, as a plugin reports them.
    ///
    /// # Errors
    /// [`MetadataError`] if a version is not a semantic version, or if [`finish`](PluginMetadataBuilder::finish) refuses a value.
    pub fn parse(
        name: impl Into<String>,
        version: &str,
        build_facts: impl IntoIterator<Item = (String, String)>,
        capabilities: impl IntoIterator<Item = String>,
        minimum_host_version: Option<&str>,
    ) -> Result<Self, MetadataError> {
        let metadata = Self {
            name: name.into(),
            version: parse_version(MetadataField::Version, version)?,
            build_facts: build_facts.into_iter().collect(),
            capabilities: capabilities.into_iter().collect(),
            minimum_host_version: minimum_host_version
                .map(|version| parse_version(MetadataField::MinimumHostVersion, version))
                .transpose()?,
        };
        PluginMetadataBuilder(metadata).finish()
    }

    /// The name of the plugin.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The version of the plugin. It is not the version of the application's protocol, which is an [`AppVersion`](crate::AppVersion).
    #[must_use]
    pub fn version(&self) -> &Version {
        &self.version
    }

    /// Facts about the build, such as `commit` and `target`, sorted by key.
    pub fn build_facts(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.build_facts.iter().map(|(key, value)| (&**key, &**value))
    }

    /// The capabilities, sorted.
    pub fn capabilities(&self) -> impl ExactSizeIterator<Item = &str> {
        self.capabilities.iter().map(|capability| &**capability)
    }

    /// Whether the plugin has this capability.
    #[must_use]
    pub fn has_capability(&self, capability: &str) -> bool {
        self.capabilities.contains(capability)
    }

    /// The oldest version of the host that the plugin works with. `None` if it works with any host.
    #[must_use]
    pub fn minimum_host_version(&self) -> Option<&Version> {
        self.minimum_host_version.as_ref()
    }
}

impl PluginMetadataBuilder {
    /// Adds a capability, in a word that hosts and plugins of the application agree upon.
    pub fn capability(mut self, capability: impl Into<String>) -> Self {
        self.0.capabilities.insert(capability.into());
        self
    }

    /// Adds a fact about the build. It replaces an earlier fact of the same key.
    pub fn build_fact(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.0.build_facts.insert(key.into(), value.into());
        self
    }

    /// Sets the oldest version of the host that the plugin works with.
    pub fn minimum_host_version(mut self, version: Version) -> Self {
        self.0.minimum_host_version = Some(version);
        self
    }

    /// Makes the metadata.
    ///
    /// # Errors
    /// [`MetadataError`] if a value is empty, exceeds a [limit](PluginMetadata#limits), or has an invalid character.
    pub fn finish(self) -> Result<PluginMetadata, MetadataError> {
        let PluginMetadata { name, version, build_facts, capabilities, minimum_host_version } = &self.0;
        check(MetadataField::Name, name, text::NAME)?;
        check(MetadataField::Version, &version.to_string(), text::VERSION)?;
        if let Some(minimum) = minimum_host_version {
            check(MetadataField::MinimumHostVersion, &minimum.to_string(), text::VERSION)?;
        }
        check_number(MetadataField::Capability, capabilities.len())?;
        for capability in capabilities {
            check(MetadataField::Capability, capability, text::CAPABILITY)?;
        }
        check_number(MetadataField::BuildKey, build_facts.len())?;
        for (key, value) in build_facts {
            check(MetadataField::BuildKey, key, text::BUILD_KEY)?;
            if key.contains('=') {
                return Err(MetadataError::Character { field: MetadataField::BuildKey, text: key.clone() });
            }
            check_text(MetadataField::BuildValue, value, text::BUILD_VALUE)?;
        }
        Ok(self.0)
    }
}

/// Writes the name and the version: `weather 1.2.0`.
impl fmt::Display for PluginMetadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.version)
    }
}

fn parse_version(field: MetadataField, text: &str) -> Result<Version, MetadataError> {
    check(field, text, text::VERSION)?;
    Version::parse(text).map_err(|source| MetadataError::Version { field, text: text.to_owned(), source })
}

fn check_number(field: MetadataField, number: usize) -> Result<(), MetadataError> {
    if number > text::ENTRIES { Err(MetadataError::TooMany { field, limit: text::ENTRIES }) } else { Ok(()) }
}

fn check(field: MetadataField, text: &str, limit: usize) -> Result<(), MetadataError> {
    if text.is_empty() { Err(MetadataError::Missing { field }) } else { check_text(field, text, limit) }
}

fn check_text(field: MetadataField, text: &str, limit: usize) -> Result<(), MetadataError> {
    if text.len() > limit {
        return Err(MetadataError::TooLong { field, limit });
    }
    if is_plain(text) { Ok(()) } else { Err(MetadataError::Character { field, text: text.to_owned() }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn builder() -> PluginMetadataBuilder {
        PluginMetadata::builder("weather", Version::new(1, 2, 0))
    }

    #[test]
    fn values_are_kept_in_order() {
        let metadata = builder().capability("b").capability("a").capability("b").build_fact("k", "").finish();
        let metadata = metadata.expect("valid");
        assert_eq!(metadata.capabilities().collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(metadata.build_facts().collect::<Vec<_>>(), [("k", "")]);
        assert!(metadata.has_capability("a") && !metadata.has_capability("c"));
        assert_eq!((metadata.name(), metadata.minimum_host_version()), ("weather", None));
        assert_eq!(metadata.version(), &Version::new(1, 2, 0));
        assert_eq!(metadata.to_string(), "weather 1.2.0");
    }

    #[test]
    fn invalid_values_are_refused() {
        let missing = PluginMetadata::builder("", Version::new(1, 0, 0)).finish();
        assert!(matches!(missing, Err(MetadataError::Missing { field: MetadataField::Name })));
        assert!(missing.unwrap_err().to_string().starts_with("the name is missing"));
        builder().capability("x".repeat(128)).finish().expect("128 bytes");
        let long = builder().capability("x".repeat(129)).finish();
        assert!(matches!(long, Err(MetadataError::TooLong { field: MetadataField::Capability, limit: 128 })));
        let full = (0..64).fold(builder(), |builder, n| builder.build_fact(n.to_string(), ""));
        full.clone().finish().expect("64 facts");
        let many = full.build_fact("64", "").finish();
        assert!(matches!(many, Err(MetadataError::TooMany { field: MetadataField::BuildKey, limit: 64 })));
        for (key, value) in [("a=b", ""), ("a", "b\nc"), ("a", "<b>"), ("a\u{85}", "")] {
            let fault = builder().build_fact(key, value).finish();
            assert!(matches!(fault, Err(MetadataError::Character { .. })), "{key} {value}");
        }
        let version = parse_version(MetadataField::Version, "1.2");
        assert!(matches!(version, Err(MetadataError::Version { .. })), "{version:?}");
    }
}
