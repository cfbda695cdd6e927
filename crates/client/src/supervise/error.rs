//! Why a plugin cannot be supervised.

use miette::Diagnostic;

use crate::{error::LaunchError, plugin_id::PluginId};

/// The error of a host's function that prepares a generation.
pub(super) type SetupFailure = Box<dyn std::error::Error + Send + Sync>;

/// The first generation of a supervised plugin did not start.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[non_exhaustive]
pub enum SuperviseError {
    /// The launch failed.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Launch(#[from] LaunchError),
    /// The plugin started, and a function of [`on_start`](crate::Supervise::on_start) failed. The plugin has been killed.
    #[error("the plugin {plugin} started, and could not be set up")]
    #[diagnostic(
        code(rpcplugin::base::supervised_setup),
        help("see the cause: the error of the function that the host passed to `on_start`")
    )]
    Setup {
        /// The plugin.
        plugin: PluginId,
        /// The error of the function.
        source: SetupFailure,
    },
}
