//! `cargo xtask cluster`: the tests that need a cluster: those of rpcplugin-kube in `tests/tests/cluster.rs`, and those of the program.
//!
//! They run against a real Kubernetes of one node on this machine, which `tests/cluster/node` starts. The plugins in it are
//! images of programs of this repository.

mod images;
mod programs;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::toolchain::first_line;
use crate::workspace::{self, Outcome, Workspace, cargo, succeed};

/// Options of `cargo xtask cluster`.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct Options {
    /// Build the programs of Kubernetes where they are missing, which takes ten minutes
    #[arg(long)]
    pub(crate) full: bool,
    /// Fail if this machine cannot run the node, instead of skipping
    #[arg(long)]
    pub(crate) require: bool,
    /// Run only the tests whose name contains this
    #[arg(long, value_name = "TEXT")]
    pub(crate) filter: Option<String>,
    /// Leave the node running
    #[arg(long)]
    pub(crate) keep: bool,
}

/// Starts the node, loads the images, and runs the tests.
pub(crate) fn run(options: &Options) -> Outcome {
    match obstacle(options.full) {
        Ok(()) => {}
        Err(why) if options.require => return Err(format!("required, but {why}").into()),
        Err(why) => {
            println!("SKIPPED  {why}");
            return Ok(());
        }
    }
    let target = Workspace::load()?.target;
    programs::build(&target)?;
    let images = images::build(&target.join("images"))?;
    let mut node = Node::up(&directory(&target))?;
    node.keep = options.keep;
    for image in &images.all {
        node.load(&image.name, &image.archive)?;
    }
    // The whole workspace selects the features, as in every other step. Nothing is compiled a second time.
    let mut tests = cargo("test --workspace --quiet --test cluster -- --ignored --test-threads 4".split(' '));
    tests.args(&options.filter).env("KUBECONFIG", &node.kubeconfig).env("RPCPLUGIN_FLEET", &images.fleet);
    tests.env("PATH", programs::path(&target)?);
    succeed(&mut tests)?;
    let mut program = cargo(workspace::RUNNERS.split(' '));
    program.args(["--test", "runner_kube", "--", "--ignored", "--test-threads", "2"]);
    program.args(&options.filter).env("KUBECONFIG", &node.kubeconfig).env("PATH", programs::path(&target)?);
    Ok(succeed(&mut program)?)
}

/// Returns why this machine cannot run the node, if it cannot. With `build`, programs that are not built are no reason.
pub(crate) fn obstacle(build: bool) -> Result<(), String> {
    programs::obstacle(&Workspace::load().map_err(|error| error.to_string())?.target, build)
}

/// The folder of the node.
fn directory(target: &Path) -> PathBuf {
    target.join("cluster")
}

/// A node that is up. Dropping it ends the node.
struct Node {
    directory: PathBuf,
    kubeconfig: String,
    keep: bool,
}

impl Node {
    fn up(directory: &Path) -> Outcome<Self> {
        println!("   tests/cluster/node {} up", directory.display());
        // What a start that fails has left is ended with it.
        let mut node = Self { directory: directory.to_owned(), kubeconfig: String::new(), keep: false };
        let kubeconfig = first_line(script(directory, &["up"]).stderr(Stdio::inherit()));
        node.kubeconfig = kubeconfig.map_err(|why| format!("the node is not up: {why}"))?;
        Ok(node)
    }

    fn load(&self, name: &str, archive: &Path) -> Outcome {
        Ok(succeed(script(&self.directory, &["load", name]).stdin(File::open(archive)?))?)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if !self.keep {
            // The next start ends what is left.
            let _ = succeed(&mut script(&self.directory, &["down"]));
        }
    }
}

fn script(directory: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(workspace::root().join("tests/cluster/node"));
    command.arg(directory).args(arguments);
    command
}
