//! The error of a call for a plugin's metadata.

use std::time::Duration;

use miette::Diagnostic;
use rpcplugin_core::MetadataError;

/// The metadata of a plugin could not be read.
///
/// A plugin that has no metadata is not an error.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[non_exhaustive]
pub enum MetadataCallError {
    /// The plugin did not answer in time.
    #[error("the plugin did not report its metadata within {} s", .0.as_secs_f32())]
    #[diagnostic(
        code(rpcplugin::protocol::metadata_timeout),
        help("check whether the plugin hangs, or raise the timeout (PLUGIN_ADMIN_TIMEOUT)")
    )]
    Timeout(Duration),
    /// The call failed.
    #[error("the metadata call of the plugin failed")]
    #[diagnostic(
        code(rpcplugin::protocol::metadata_call),
        help(
            "see what the plugin wrote on stderr; a plugin without metadata answers UNIMPLEMENTED, and has at most 64 KiB otherwise"
        )
    )]
    Failed(#[from] tonic::Status),
    /// The plugin reported invalid metadata.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Invalid(#[from] MetadataError),
}
