//! What a runner starts in its image.

use rpcplugin::sandbox::Sandbox;

/// What a runner starts in its image.
#[derive(Debug)]
#[cfg_attr(
    not(any(feature = "docker", feature = "kube")),
    expect(dead_code, reason = "no runner is compiled in")
)]
pub(crate) struct InImage {
    /// The program in the image. `None` for the image's own.
    pub(crate) program: Option<String>,
    pub(crate) args: Vec<String>,
    pub(crate) env: Vec<(String, String)>,
    /// The sandbox of the plugin.
    pub(crate) sandbox: Option<Sandbox>,
}
