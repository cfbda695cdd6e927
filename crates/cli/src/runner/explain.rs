//! What a runner's own error says.

use miette::Diagnostic;
use rpcplugin::host::{LaunchFault, StartFault};

/// Returns the error of the runner itself, with its code and its help. `None` for other faults.
pub(crate) fn explanation(fault: &LaunchFault) -> Option<&(dyn Diagnostic + 'static)> {
    let LaunchFault::Start(StartFault::Runner(error)) = fault else { return None };
    let error: &(dyn std::error::Error + 'static) = &**error;
    let explained: [Option<&(dyn Diagnostic + 'static)>; 2] = [
        #[cfg(feature = "docker")]
        error.downcast_ref::<rpcplugin::docker::DockerError>().map(|error| error as _),
        #[cfg(not(feature = "docker"))]
        None,
        #[cfg(feature = "kube")]
        error.downcast_ref::<rpcplugin_kube::KubeError>().map(|error| error as _),
        #[cfg(not(feature = "kube"))]
        None,
    ];
    let _ = error;
    explained.into_iter().flatten().next()
}
