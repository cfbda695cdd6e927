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
    let kit = images::static_rust("rpcplugin-tests", Target::Bin, "kit-plugin")?;
    let program = images::static_rust("rpcplugin-cli", Target::Bin, "rpcplugin")?;
    let fleet = images::static_rust("rpcplugin-kube", Target::Example, "fleet")?;
    let go = images::static_go("kit-plugin")?;
    let contents =
        [("kit-plugin:rust", "/kit-plugin", &kit), ("kit-plugin:go", "/kit-plugin", &go)].into_iter();
    let contents = contents.chain([("rpcplugin:1", "/rpcplugin", &program), ("fleet:1", "/fleet", &fleet)]);
    let image = |(name, entrypoint, file): (&str, &str, &PathBuf)| {
        let name = format!("localhost/rpcplugin/{name}");
        let archive = images::archive(directory, &name, &[entrypoint], &[(entrypoint, file)])?;
        Ok(Image { name, archive })
    };
    Ok(Images { all: contents.map(image).collect::<Outcome<_>>()?, fleet })
}
