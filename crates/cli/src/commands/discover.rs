//! `rpcplugin discover`: lists the plugins in a directory, without starting any of them.

mod sockets;

use std::path::{Path, PathBuf};

use clap::Args;
use miette::{IntoDiagnostic as _, WrapErr as _};
use rpcplugin::host::{DiscoveredPlugin, ProgramFile, discover_plugins};
use serde::Serialize;

use crate::{
    error::CommandError,
    exit::Exit,
    facts::MetadataFacts,
    ui::{
        Out, Tree,
        style::{dim, warn},
    },
};

/// Lists the plugins in a directory, with the metadata in their files. No plugin is started.
#[derive(Debug, Args)]
pub(crate) struct DiscoverArgs {
    /// The directory.
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// Lists only the files whose names match: `*` is any text, `?` is one character, `[a-z]` is a set.
    #[arg(long, value_name = "PATTERN", default_value = "*")]
    glob: String,
    /// Lists the Unix sockets in place of the files: attaches to the plugin of each, and shows its health and its services.
    #[arg(long, conflicts_with = "glob")]
    sockets: bool,
}

/// The files of a directory. The field names are those of the JSON.
#[derive(Debug, Serialize)]
struct Listing {
    directory: String,
    plugins: Vec<Found>,
}

#[derive(Debug, Serialize)]
struct Found {
    path: String,
    /// The kind of the file, such as `ELF program (Linux) for x86_64`.
    kind: Option<String>,
    /// Why this machine cannot run the file.
    obstacle: Option<String>,
    /// `None` if the file has no metadata.
    metadata: Option<MetadataFacts>,
    /// Why the file cannot be read.
    fault: Option<String>,
}

/// Lists the files.
pub(crate) async fn run(args: &DiscoverArgs, out: &mut Out) -> Result<Exit, CommandError> {
    if args.sockets {
        return sockets::run(&args.dir, out).await;
    }
    let working = out.working("reading");
    let (dir, pattern) = (args.dir.clone(), args.glob.clone());
    // Large files take a while, and Ctrl-C ends the command meanwhile.
    let listing = tokio::task::spawn_blocking(move || listing(&dir, &pattern)).await.into_diagnostic()?;
    drop(working);
    let listing =
        listing.into_diagnostic().wrap_err_with(|| format!("cannot read {}", args.dir.display()))?;
    if out.is_json() {
        out.json(&listing);
    } else {
        out.tree(&tree(&listing, &args.glob));
    }
    Ok(Exit::Ok)
}

fn listing(dir: &Path, pattern: &str) -> std::io::Result<Listing> {
    // A directory that does not exist has no plugins for a host. For a person it is a mistake.
    std::fs::read_dir(dir)?;
    let plugins = discover_plugins(dir, pattern)?.into_iter().map(Found::of).collect();
    Ok(Listing { directory: dir.display().to_string(), plugins })
}

impl Found {
    fn of(plugin: DiscoveredPlugin) -> Self {
        let file = ProgramFile::of(&plugin.path).ok();
        let (metadata, fault) = match plugin.metadata {
            Ok(metadata) => (metadata.as_ref().map(MetadataFacts::of), None),
            Err(error) => (None, Some(error.to_string())),
        };
        Self {
            path: plugin.path.display().to_string(),
            kind: file.as_ref().map(ToString::to_string),
            obstacle: file.and_then(|file| file.obstacle()).map(|obstacle| obstacle.to_string()),
            metadata,
            fault,
        }
    }

    fn tree(&self) -> Tree {
        let mut tree = Tree::new(&self.path);
        match (&self.metadata, &self.fault) {
            (Some(metadata), _) => metadata.show(&mut tree),
            (None, Some(fault)) => _ = tree.line(warn(format_args!("unreadable: {fault}"))),
            (None, None) => _ = tree.line(dim("no metadata")),
        }
        if let Some(kind) = &self.kind {
            tree.fact("file", dim(kind));
        }
        if let Some(obstacle) = &self.obstacle {
            tree.fact("obstacle", warn(obstacle));
        }
        tree
    }
}

fn tree(listing: &Listing, pattern: &str) -> Tree {
    let mut tree = Tree::new(&listing.directory);
    if listing.plugins.is_empty() {
        tree.line(warn(format_args!("no file matches {pattern}")));
    }
    for plugin in &listing.plugins {
        tree.tree(plugin.tree());
    }
    tree
}
