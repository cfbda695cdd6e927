//! Faults of the runner.

use std::time::Duration;

use miette::Diagnostic;

/// The [`Runner`](crate::Runner) did not start the plugin.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[non_exhaustive]
pub enum StartFault {
    /// The runner reported an error.
    #[error("the runner could not start the plugin")]
    #[diagnostic(code(rpcplugin::transport::runner), help("the cause says more"))]
    Runner(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The runner did not start the plugin within the launch timeout.
    #[error("the runner did not start the plugin within {} s", .0.as_secs_f32())]
    #[diagnostic(
        code(rpcplugin::transport::not_started),
        help(
            "raise the launch timeout (PLUGIN_LAUNCH_TIMEOUT), or prepare what takes long, such as fetching an image"
        )
    )]
    Timeout(Duration),
}
