//! Versions: of the handshake itself, and of the application's protocol.

use std::fmt;

/// The version of the handshake line and of go-plugin's own services. There has only ever been one.
pub const CORE_PROTOCOL_VERSION: u32 = 1;

/// A version of the application's own protocol: which services a plugin serves and what they mean.
///
/// It is a plain number without order of compatibility: version 3 need not understand what version 2 meant.
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

/// At least one [`AppVersion`], newest first, none twice.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Versions(Box<[AppVersion]>);

/// There was no version in the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error, miette::Diagnostic)]
#[error("the list of protocol versions is empty")]
#[diagnostic(
    code(rpcplugin::config::no_versions),
    help("name at least one version of your protocol; start with 1 when there has been only one")
)]
pub struct VersionsError;

impl Versions {
    /// The versions given, in any order and however often.
    ///
    /// # Errors
    /// [`VersionsError`] when there is none.
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

    /// Whether `version` is among them.
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

/// The versions with commas between, newest first: `3,2,1`.
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
