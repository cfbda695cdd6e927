//! What a host requires of a plugin.

use std::{collections::BTreeSet, fmt};

use rpcplugin_core::{
    PluginMetadata,
    semver::{Version, VersionReq},
};

use crate::error::RequirementFault;

/// What a host requires of a plugin: a version, and capabilities.
///
/// The plugin reports both in its [metadata](PluginMetadata). A launch fails if the plugin does not meet the requirements, or has no
/// metadata. [`Command::require_version`](crate::Command::require_version) and the methods beside it make requirements of most plugins. A
/// [`Runner`](crate::Runner) returns its own.
///
/// ```
/// use rpcplugin_client::Requirements;
/// use rpcplugin_core::semver::VersionReq;
///
/// let requirements = Requirements::new().version(VersionReq::parse(">=2, <3")?).capability("alerts");
/// assert_eq!(requirements.to_string(), "version >=2, <3 and capability alerts");
/// # Ok::<(), rpcplugin_core::semver::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Requirements {
    version: Option<VersionReq>,
    capabilities: BTreeSet<String>,
}

impl Requirements {
    /// Requires nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Requires a version of the plugin. A second call replaces the requirement of the first.
    ///
    /// A pre-release, such as 2.1.0-beta.1, meets a requirement only if the requirement names a pre-release of the same version, as
    /// `>=2.1.0-alpha` does.
    #[must_use]
    pub fn version(mut self, version: VersionReq) -> Self {
        self.version = Some(version);
        self
    }

    /// Requires a capability, in addition to those of earlier calls.
    #[must_use]
    pub fn capability(mut self, capability: impl Into<String>) -> Self {
        self.capabilities.insert(capability.into());
        self
    }

    /// Whether nothing is required.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.version.is_none() && self.capabilities.is_empty()
    }

    /// Checks the metadata of the plugin with this name in logs.
    pub(crate) fn check(
        &self,
        name: &str,
        metadata: Option<&PluginMetadata>,
    ) -> Result<(), RequirementFault> {
        let Some(metadata) = metadata else {
            let required = || self.to_string();
            return if self.is_empty() {
                Ok(())
            } else {
                Err(RequirementFault::NoMetadata { plugin: name.to_owned(), required: required() })
            };
        };
        let plugin = || metadata.name().to_owned();
        if let Some(required) = self.version.as_ref().filter(|required| !required.matches(metadata.version()))
        {
            let version = Box::new(metadata.version().clone());
            return Err(RequirementFault::Version { plugin: plugin(), version, required: required.clone() });
        }
        match self.capabilities.iter().find(|capability| !metadata.has_capability(capability)) {
            Some(missing) => Err(RequirementFault::Capability {
                plugin: plugin(),
                version: Box::new(metadata.version().clone()),
                capability: missing.clone(),
            }),
            None => Ok(()),
        }
    }
}

/// Checks whether a host of this version is new enough for the plugin.
pub(crate) fn check_host(host: &Version, metadata: &PluginMetadata) -> Result<(), RequirementFault> {
    let Some(minimum) = metadata.minimum_host_version() else { return Ok(()) };
    // The part behind `+` has no order.
    if host.cmp_precedence(minimum).is_ge() {
        return Ok(());
    }
    Err(RequirementFault::HostVersion {
        plugin: metadata.name().to_owned(),
        minimum: Box::new(minimum.clone()),
        host: Box::new(host.clone()),
    })
}

/// Writes the requirements: `version >=2, <3 and capability alerts`.
impl fmt::Display for Requirements {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let version = self.version.iter().map(|version| format!("version {version}"));
        let capabilities = self.capabilities.iter().map(|capability| format!("capability {capability}"));
        let all: Vec<_> = version.chain(capabilities).collect();
        f.write_str(if all.is_empty() { "nothing" } else { "" })?;
        f.write_str(&all.join(" and "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metadata(version: &str) -> PluginMetadata {
        let version = version.parse().expect("a version");
        let builder = PluginMetadata::builder("weather", version).capability("alerts");
        builder.minimum_host_version(Version::new(2, 0, 0)).finish().expect("valid")
    }

    fn required(version: &str) -> Requirements {
        Requirements::new().version(version.parse().expect("a requirement"))
    }

    #[track_caller]
    fn refused(requirements: &Requirements, metadata: Option<&PluginMetadata>) -> String {
        requirements.check("weather-plugin", metadata).expect_err("refused").to_string()
    }

    #[test]
    fn a_version_is_refused_with_both_versions() {
        let metadata = metadata("1.2.0");
        assert!(required("^1").check("", Some(&metadata)).is_ok());
        assert_eq!(
            refused(&required(">=2, <3"), Some(&metadata)),
            "the plugin weather has version 1.2.0, and this host requires >=2, <3"
        );
        assert!(required(">=1").check("", Some(&self::metadata("2.0.0-rc.1"))).is_err());
        assert!(required(">=2.0.0-rc").check("", Some(&self::metadata("2.0.0-rc.1"))).is_ok());
    }

    #[test]
    fn capabilities_are_required_by_name() {
        let (metadata, all) = (metadata("1.2.0"), Requirements::new().capability("alerts"));
        assert!(all.check("", Some(&metadata)).is_ok());
        assert_eq!(
            refused(&all.capability("history"), Some(&metadata)),
            "the plugin weather 1.2.0 does not have the capability history, which this host requires"
        );
    }

    #[test]
    fn metadata_is_required_only_with_a_requirement() {
        assert!(Requirements::new().check("", None).is_ok());
        assert_eq!(
            refused(&required("^2").capability("alerts"), None),
            "the plugin weather-plugin reports no metadata, and this host requires version ^2 and capability alerts"
        );
    }

    #[test]
    fn a_host_has_at_least_the_version_that_the_plugin_requires() {
        let metadata = metadata("1.2.0");
        for version in ["2.0.0", "2.0.0+linux", "3.1.4-alpha"] {
            assert!(check_host(&version.parse().expect("a version"), &metadata).is_ok(), "{version}");
        }
        let old = check_host(&Version::new(1, 9, 0), &metadata).expect_err("too old").to_string();
        assert_eq!(
            old,
            "the plugin weather requires a host of version 2.0.0 or later, and this host has version 1.9.0"
        );
        assert!(check_host(&"2.0.0-rc.1".parse().expect("a version"), &metadata).is_err());
    }
}
