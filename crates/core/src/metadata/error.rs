//! The error of invalid metadata.

use std::fmt;

/// The metadata of a plugin is invalid.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[non_exhaustive]
pub enum MetadataError {
    /// A value is missing or empty.
    #[error("{field} is missing in the metadata of the plugin")]
    #[diagnostic(
        code(rpcplugin::protocol::metadata_missing),
        help(
            "give the plugin's metadata a name and a version; a capability and the key of a build fact are not empty"
        )
    )]
    Missing {
        /// The value.
        field: MetadataField,
    },
    /// A value is longer than metadata may be.
    #[error("{field} is longer than {limit} bytes in the metadata of the plugin")]
    #[diagnostic(
        code(rpcplugin::protocol::metadata_too_long),
        help("shorten the value in the plugin's metadata")
    )]
    TooLong {
        /// The value.
        field: MetadataField,
        /// The largest length in bytes.
        limit: usize,
    },
    /// There are more capabilities or build facts than metadata may have.
    #[error("the metadata of the plugin has more than {limit} entries for {field}")]
    #[diagnostic(
        code(rpcplugin::protocol::metadata_too_many),
        help("give the plugin fewer capabilities and build facts")
    )]
    TooMany {
        /// The value.
        field: MetadataField,
        /// The largest number.
        limit: usize,
    },
    /// A value has a character that metadata may not have.
    #[error("{field} has an invalid character in the metadata of the plugin: {text:?}")]
    #[diagnostic(
        code(rpcplugin::protocol::metadata_character),
        help(
            "remove control characters, line ends and `<` from the plugin's metadata, and `=` from keys of build facts"
        )
    )]
    Character {
        /// The value.
        field: MetadataField,
        /// The text of the value.
        text: String,
    },
    /// A value is not a semantic version.
    #[error("{field} is not a semantic version in the metadata of the plugin: {text:?}")]
    #[diagnostic(
        code(rpcplugin::protocol::metadata_version),
        help("give the plugin's metadata versions of the form `1.2.3`, `1.2.3-beta.1` or `1.2.3+build`")
    )]
    Version {
        /// The value.
        field: MetadataField,
        /// The text of the value.
        text: String,
        /// Why it is not a version.
        source: semver::Error,
    },
    /// A text is not a block of metadata.
    #[error("the text is not a block of metadata: {what}")]
    #[diagnostic(
        code(rpcplugin::protocol::metadata_block),
        help(
            "write the block as docs/metadata.md describes it: a first line, lines of the form `key=value`, and a last line"
        )
    )]
    Block {
        /// What is wrong with the text.
        what: &'static str,
    },
}

/// A value of the metadata, as errors name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MetadataField {
    /// The name of the plugin.
    Name,
    /// The version of the plugin.
    Version,
    /// The key of a fact about the build.
    BuildKey,
    /// The value of a fact about the build.
    BuildValue,
    /// A capability.
    Capability,
    /// The oldest version of the host.
    MinimumHostVersion,
}

impl fmt::Display for MetadataField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Name => "the name",
            Self::Version => "the version",
            Self::BuildKey => "the key of a build fact",
            Self::BuildValue => "the value of a build fact",
            Self::Capability => "a capability",
            Self::MinimumHostVersion => "the minimum host version",
        })
    }
}
