//! The ways to start a plugin: as a child process of this program, in a container, or in a pod.

mod any;
mod choice;
#[cfg(feature = "docker")]
mod docker;
mod explain;
mod in_image;
#[cfg(feature = "kube")]
mod kube;
mod options;

/// Waits until no pod of this process is left, but not for long. A runtime that shuts down deletes none. Containers and child processes end
/// without it.
#[cfg_attr(not(feature = "kube"), expect(clippy::unused_async, reason = "there are no pods"))]
pub(crate) async fn cleaned_up() {
    #[cfg(feature = "kube")]
    let _ =
        tokio::time::timeout(std::time::Duration::from_secs(10), rpcplugin_kube::Pod::all_deleted()).await;
}

pub(crate) use self::{
    any::{AnyProcess, AnyRunner},
    choice::RunnerChoice,
    explain::explanation,
    in_image::InImage,
    options::RunnerOption,
};
