//! The images that the tests use, and the example that they start outside the cluster.

use std::path::{Path, PathBuf};

use crate::images::{self, Target};
use crate::workspace::Outcome;

/// An image in a file.
pub(super) struct Image {
    pub(super) name: String,
    pub(super) archive: PathBuf,
}

/// What the tests need.
pub(super) struct Images {
    pub(super) all: Vec<Image>,
    /// The example `fleet`, as a program of this machine.
    pub(super) fleet: PathBuf,
}

/// Builds the programs, and an image of each.
pub(super) fn build(directory: &Path) -> Outcome<Images> {
    // The plugin of the kit that takes its settings from the environment, as the runner of pods gives them.
    let kit = images::static_rust("rpcplugin-tests", Target::Bin, "settings-plugin")?;
    let go = images::static_go("kit-plugin")?.ok_or("the plugin in Go needs Go")?;
    let program = images::static_rust("rpcplugin-cli", Target::Bin, "rpcplugin")?;
    let fleet = images::static_rust("rpcplugin-kube", Target::Example, "fleet")?;
    let image = |name: &str, entrypoint: &str, file: &Path| {
        let name = format!("localhost/rpcplugin-tests/{name}:1");
        let image = images::Image {
            name: &name,
            entrypoint: &[entrypoint],
            files: &[(entrypoint, file)],
            links: &[],
        };
        let archive = images::archive(directory, &image)?;
        Outcome::Ok(Image { name, archive })
    };
    let all = vec![
        image("kit-rust", "/kit-plugin", &kit)?,
        image("kit-go", "/kit-plugin", &go)?,
        image("rpcplugin", "/rpcplugin", &program)?,
        image("fleet", "/fleet", &fleet)?,
    ];
    Ok(Images { all, fleet })
}
