//! Faults of requirements: host and plugin do not fit each other.

use miette::Diagnostic;
use rpcplugin_core::semver::{Version, VersionReq};

use super::metadata::MetadataCallError;

/// The plugin answers, and does not meet a requirement of its host, or the host does not meet one of the plugin.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[non_exhaustive]
pub enum RequirementFault {
    /// The plugin has another version than the host requires.
    #[error("the plugin {plugin} has version {version}, and this host requires {required}")]
    #[diagnostic(
        code(rpcplugin::protocol::required_version),
        help(
            "install a version of the plugin that this host accepts, or change the requirement in the host (`require_version`)"
        )
    )]
    Version {
        /// The name of the plugin.
        plugin: String,
        /// The version of the plugin.
        version: Box<Version>,
        /// The versions that the host accepts.
        required: VersionReq,
    },
    /// The plugin does not have a capability that the host requires.
    #[error(
        "the plugin {plugin} {version} does not have the capability {capability}, which this host requires"
    )]
    #[diagnostic(
        code(rpcplugin::protocol::required_capability),
        help(
            "install a version of the plugin that has the capability, or change the requirement in the host (`require_capability`)"
        )
    )]
    Capability {
        /// The name of the plugin.
        plugin: String,
        /// The version of the plugin.
        version: Box<Version>,
        /// The capability.
        capability: String,
    },
    /// The plugin reports no metadata, and the host has a requirement.
    #[error("the plugin {plugin} reports no metadata, and this host requires {required}")]
    #[diagnostic(
        code(rpcplugin::protocol::required_metadata),
        help(
            "install a version of the plugin that reports metadata (`Serve::metadata`), or remove the requirement from the host"
        )
    )]
    NoMetadata {
        /// The name of the plugin in logs.
        plugin: String,
        /// The requirements of the host.
        required: String,
    },
    /// The host is older than the plugin requires.
    #[error(
        "the plugin {plugin} requires a host of version {minimum} or later, and this host has version {host}"
    )]
    #[diagnostic(
        code(rpcplugin::protocol::required_host_version),
        help("update the host, or install an earlier version of the plugin")
    )]
    HostVersion {
        /// The name of the plugin.
        plugin: String,
        /// The oldest version of the host that the plugin works with.
        minimum: Box<Version>,
        /// The version of the host, as given to [`Host::program_version`](crate::Host::program_version).
        host: Box<Version>,
    },
    /// The metadata could not be read.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Metadata(#[from] MetadataCallError),
}
