//! Why a plugin cannot be supervised.

use miette::Diagnostic;

use crate::{error::LaunchError, plugin_id::PluginId};

/// The error of a host's function that prepares a generation.
pub(super) type SetupFailure = Box<dyn std::error::Error + Send + Sync>;

/// A plugin cannot be supervised, since it did not start a first time.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[non_exhaustive]
pub enum SuperviseError {
    /// It did not start.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Launch(#[from] LaunchError),
    /// It started, and what had to be done with each generation failed. It has been killed.
    #[error("the plugin {plugin} started, and could not be set up")]
    #[diagnostic(
        code(rpcplugin::base::supervised_setup),
        help("the cause comes from the function that the host gave to `on_start`")
    )]
    Setup {
        /// The plugin.
        plugin: PluginId,
        /// What the function said.
        source: SetupFailure,
    },
}
