//! The images that the tests use, and the example that they start outside the cluster.

use std::path::{Path, PathBuf};

use crate::images;
use crate::workspace::{Outcome, Workspace, cargo, succeed};

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
    // The programs of all other steps, with their libraries. The plugin of the kit is the one that takes its settings from the environment,
    // as the runner of pods gives them.
    succeed(&mut cargo("build --workspace --quiet --bin settings-plugin --example fleet".split(' ')))?;
    let programs = Workspace::load()?.target.join("debug");
    let (kit, fleet) = (programs.join("settings-plugin"), programs.join("examples").join("fleet"));
    let go = images::static_go("kit-plugin")?.ok_or("the plugin in Go needs Go")?;
    // This one is copied into images without libraries.
    let bridge = images::static_rust("rpcplugin-cli", "rpcplugin")?;
    let image = |name: &str, files: &[(&str, &Path)]| {
        let libraries = images::libraries(files[0].1)?;
        let libraries = libraries.iter().filter_map(|library| Some((library.to_str()?, library.as_path())));
        let all: Vec<_> = files.iter().copied().chain(libraries).collect();
        let name = format!("localhost/rpcplugin-tests/{name}:1");
        let image = images::Image { name: &name, entrypoint: &[files[0].0], files: &all, links: &[] };
        let archive = images::archive(directory, &image)?;
        Outcome::Ok(Image { name, archive })
    };
    // The first file is the entry point.
    let all = vec![
        image("kit-rust", &[("/kit-plugin", &kit)])?,
        image("kit-go", &[("/kit-plugin", &go)])?,
        // A plugin beside its bridge.
        image("rpcplugin", &[("/rpcplugin", &bridge), ("/kit-plugin", &go)])?,
        image("fleet", &[("/fleet", &fleet)])?,
    ];
    Ok(Images { all, fleet })
}
