//! The conformance of runners, with containers.

use rpcplugin::testing::{CaseOutcome, PluginBehavior, RunnerConformance};

use super::*;

/// The runner that starts a plugin with this behavior.
fn behaving(behavior: PluginBehavior) -> Container {
    let program =
        if behavior == PluginBehavior::Missing { "/nowhere/runner-plugin" } else { "/runner-plugin" };
    rust().entrypoint([program]).args([behavior.as_str()])
}

#[tokio::test]
#[ignore = "needs a container engine: cargo xtask containers"]
async fn containers_pass_the_conformance_of_runners() {
    let place = Place::new();
    let (sockets, left) = (place.sockets.path().to_owned(), place.sockets.path().to_owned());
    let conformance = RunnerConformance::new(|behavior| Some(behaving(behavior)))
        .host(move |host| host.configure(|config| config.unix_socket_dir = Some(sockets.clone())))
        .leftovers(move || {
            let containers = podman::labelled(&left.display().to_string());
            let directories = entries(&left).into_iter().map(|directory| directory.display().to_string());
            let left = containers.into_iter().chain(directories).collect();
            async { left }
        })
        // Longer than a start takes on a busy machine.
        .silence(Duration::from_secs(20));
    let report = conformance.run().await;
    let all = report.results().iter().all(|(_, outcome)| *outcome == CaseOutcome::Passed);
    assert!(all && report.passed(), "{report}");
}
