//! Versions of the handshake and of the application's protocol.

use std::fmt;

/// The version of the handshake line and of go-plugin's own services. It is the only one so far.
pub const CORE_PROTOCOL_VERSION: u32 = 1;

/// A version of the application's protocol, which defines the services of a plugin and their meaning.
///
/// The number implies no compatibility: version 3 need not be compatible with version 2.
///
/// # Protocol
/// go-plugin's `ProtocolVersion` and the keys of `VersionedPlugins`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AppVersion(pub u32);

impl fmt::Display for AppVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl From<u32> for AppVersion {
    fn from(version: u32) -> Self {
        Self(version)
    }
}

/// At least one [`AppVersion`], newest first, without duplicates.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Versions(Box<[AppVersion]>);

/// The error for a list without versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error, miette::Diagnostic)]
#[error("the list of protocol versions is empty")]
#[diagnostic(
    code(rpcplugin::config::no_versions),
    help("give at least one version of your protocol, such as 1")
)]
pub struct VersionsError;

impl Versions {
    /// Creates a list from versions in any order, with or without duplicates.
    ///
    /// # Errors
    /// [`VersionsError`] if there are no versions.
    pub fn new<V: Into<AppVersion>>(versions: impl IntoIterator<Item = V>) -> Result<Self, VersionsError> {
        let mut versions: Vec<_> = versions.into_iter().map(Into::into).collect();
        versions.sort_unstable_by(|a, b| b.cmp(a));
        versions.dedup();
        if versions.is_empty() { Err(VersionsError) } else { Ok(Self(versions.into_boxed_slice())) }
    }

    /// The highest version.
    #[must_use]
    pub fn newest(&self) -> AppVersion {
        self.0[0]
    }

    /// The lowest version.
    #[must_use]
    pub fn oldest(&self) -> AppVersion {
        self.0[self.0.len() - 1]
    }

    /// Whether the list has this version.
    #[must_use]
    pub fn contains(&self, version: AppVersion) -> bool {
        self.0.contains(&version)
    }

    /// Each version, newest first.
    pub fn iter(&self) -> impl Iterator<Item = AppVersion> + '_ {
        self.0.iter().copied()
    }
}

impl From<AppVersion> for Versions {
    fn from(version: AppVersion) -> Self {
        Self(Box::new([version]))
    }
}

impl From<u32> for Versions {
    fn from(version: u32) -> Self {
        AppVersion(version).into()
    }
}

/// The versions, newest first, with commas between them: `3,2,1`.
impl fmt::Display for Versions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, version) in self.iter().enumerate() {
            if n > 0 {
                f.write_str(",")?;
            }
            version.fmt(f)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sorts_newest_first_without_repeats() {
        let versions = Versions::new([1, 3, 2, 3]).expect("not empty");
        assert_eq!(versions.to_string(), "3,2,1");
        assert_eq!((versions.newest(), versions.oldest()), (AppVersion(3), AppVersion(1)));
        assert!(versions.contains(AppVersion(2)) && !versions.contains(AppVersion(4)));
    }

    #[test]
    fn cannot_be_empty() {
        assert_eq!(Versions::new(Vec::<u32>::new()), Err(VersionsError));
    }
}
