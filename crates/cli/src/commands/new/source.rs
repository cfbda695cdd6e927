//! Where a new project takes rpcplugin from.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
};

use crate::error::UsageError;

/// The origin of the crates that a project depends on.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// A directory with the repository.
    Checkout(PathBuf),
    /// A commit of the repository.
    Revision(String),
    /// The published crates, in the version of this program.
    Published,
}

impl Source {
    /// Returns the source that this program was built from.
    ///
    /// # Errors
    /// The directory does not exist any more, or has another version.
    pub(super) fn of_this_program() -> Result<Self, UsageError> {
        Self::built_from(option_env!("RPCPLUGIN_CHECKOUT"), option_env!("RPCPLUGIN_REVISION"))
    }

    /// Returns the checkout in a directory that the user names.
    ///
    /// # Errors
    /// The directory is not a checkout.
    pub(super) fn given(dir: &Path) -> Result<Self, UsageError> {
        let dir = std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned());
        if version_of(&dir).is_none() {
            let message = format!("{} is not a checkout of rpcplugin", dir.display());
            return Err(UsageError::new(message, "name the directory that contains crates/rpcplugin"));
        }
        Ok(Self::Checkout(dir))
    }

    fn built_from(checkout: Option<&str>, revision: Option<&str>) -> Result<Self, UsageError> {
        let dir = match (checkout, revision) {
            (Some(dir), _) => Path::new(dir),
            (None, Some(revision)) => return Ok(Self::Revision(revision.to_owned())),
            (None, None) => return Ok(Self::Published),
        };
        let (fault, help) = match version_of(dir) {
            Some(version) if version == VERSION => return Ok(Self::Checkout(dir.to_owned())),
            Some(version) => (
                format!("is now version {version} of rpcplugin, and this program is version {VERSION}"),
                format!(
                    "install the program again with `cargo install --path {}`, or name a checkout of version {VERSION} with \
                     --path-to-rpcplugin DIR",
                    dir.join("crates/cli").display(),
                ),
            ),
            None => (
                "is not a checkout of rpcplugin any more".to_owned(),
                format!(
                    "get a checkout with `git clone {REPOSITORY}`, and name it with --path-to-rpcplugin DIR"
                ),
            ),
        };
        Err(UsageError::new(format!("{}, which this program was built from, {fault}", dir.display()), help))
    }

    /// Returns the value of a dependency in TOML.
    pub(super) fn dependency(&self, crate_dir: &str) -> String {
        match self {
            Self::Checkout(dir) => {
                let path = dir.join("crates").join(crate_dir);
                // A JSON string is a valid basic string in TOML.
                format!("{{ path = {} }}", serde_json::Value::from(path.to_string_lossy()))
            }
            Self::Revision(revision) => format!("{{ git = \"{REPOSITORY}\", rev = \"{revision}\" }}"),
            Self::Published => format!("\"{VERSION}\""),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Checkout(dir) => write!(f, "the checkout {}", dir.display()),
            Self::Revision(revision) => write!(f, "commit {revision} of {REPOSITORY}"),
            Self::Published => write!(f, "the published version {VERSION}"),
        }
    }
}

/// Returns the version of a checkout: that of its workspace.
fn version_of(dir: &Path) -> Option<String> {
    if !dir.join("crates/rpcplugin/Cargo.toml").is_file() {
        return None;
    }
    let manifest = fs::read_to_string(dir.join("Cargo.toml")).ok()?;
    let package = manifest.lines().skip_while(|line| line.trim() != "[workspace.package]").skip(1);
    let mut fields =
        package.take_while(|line| !line.starts_with('[')).filter_map(|line| line.split_once('='));
    let (_, version) = fields.find(|(name, _)| name.trim() == "version")?;
    Some(version.trim().trim_matches('"').to_owned())
}

const VERSION: &str = env!("CARGO_PKG_VERSION");

const REPOSITORY: &str = env!("CARGO_PKG_REPOSITORY");

#[cfg(test)]
mod tests {
    use super::*;

    /// Makes the files by which a checkout is recognised.
    fn checkout(version: &str) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("crates/rpcplugin")).unwrap();
        fs::write(dir.path().join("crates/rpcplugin/Cargo.toml"), "").unwrap();
        let manifest =
            format!("[workspace]\nversion = 'no'\n\n[workspace.package]\nversion = \"{version}\"\n");
        fs::write(dir.path().join("Cargo.toml"), manifest).unwrap();
        dir
    }

    #[test]
    fn a_program_that_was_built_from_a_checkout_uses_it_while_it_has_the_same_version() {
        let same = checkout(VERSION);
        let path = same.path().to_str().unwrap();
        assert_eq!(Source::built_from(Some(path), None).unwrap(), Source::Checkout(path.into()));
        let later = checkout("99.0.0");
        let error = Source::built_from(later.path().to_str(), None).unwrap_err();
        assert!(error.to_string().contains("is now version 99.0.0"), "{error}");
        let error = Source::built_from(Some("/no/such/directory"), None).unwrap_err();
        assert!(error.to_string().contains("is not a checkout of rpcplugin any more"), "{error}");
    }

    #[test]
    fn other_programs_use_their_commit_or_the_published_crates() {
        let commit = Source::built_from(None, Some("1234abcd")).unwrap();
        assert_eq!(
            commit.dependency("build"),
            r#"{ git = "https://github.com/rpcplugin/rpcplugin", rev = "1234abcd" }"#
        );
        let published = Source::built_from(None, None).unwrap();
        assert_eq!(published.dependency("rpcplugin"), format!("\"{VERSION}\""));
    }

    #[test]
    fn the_path_of_a_checkout_is_a_valid_string_in_toml() {
        let source = Source::Checkout("/a \"b".into());
        assert_eq!(source.dependency("rpcplugin"), r#"{ path = "/a \"b/crates/rpcplugin" }"#);
    }
}
