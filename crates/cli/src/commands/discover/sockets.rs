//! The plugins whose sockets are in a directory.

use std::{path::Path, time::Duration};

use miette::{Diagnostic, IntoDiagnostic as _, Report};
use rpcplugin::{
    AppVersion, Host, MagicCookie, Versions,
    error::with_causes,
    host::{FolderEvent, FolderPlugin, Pid},
};
use serde::Serialize;

use crate::{
    error::CommandError,
    exit::Exit,
    ui::{
        Out, Tree,
        style::{dim, warn},
    },
};

/// The sockets of a directory. The field names are those of the JSON.
#[derive(Debug, Serialize)]
struct Listing {
    directory: String,
    sockets: Vec<Socket>,
}

#[derive(Debug, Serialize)]
struct Socket {
    name: String,
    path: String,
    /// `None` if the process cannot be seen.
    pid: Option<u32>,
    /// `SERVING`. `None` if the plugin has no health service: a plugin with another health is a fault.
    health: Option<&'static str>,
    /// `None` if the plugin has no reflection.
    services: Option<Vec<String>>,
    fault: Option<Fault>,
}

/// Why a socket cannot be attached to.
#[derive(Debug, Serialize)]
struct Fault {
    code: Option<String>,
    message: String,
    help: Option<String>,
}

/// Attaches to each socket in the directory, and lists what the plugins report. They are left running.
pub(super) async fn run(dir: &Path, out: &mut Out) -> Result<Exit, CommandError> {
    let working = out.working("attaching");
    // A running plugin does not check a cookie, and its version is not known.
    let cookie = MagicCookie::new("RPCPLUGIN_ATTACH", "1").into_diagnostic()?;
    let host = Host::new(cookie, Versions::from(AppVersion(0))).configure(|config| {
        config.launch_timeout = TIMEOUT;
    });
    // A directory that does not exist has no plugins for a host. For a person it is a mistake.
    std::fs::read_dir(dir).into_diagnostic().map_err(|error| unreadable(error, dir))?;
    let mut folder = host.attach_all(dir)?;
    let mut sockets = Vec::new();
    while let Some(event) = folder.next().await {
        match event {
            FolderEvent::Added(plugin) => sockets.push(Socket::of(*plugin)),
            FolderEvent::Failed { name, path, error } => {
                let (path, fault) = (path.display().to_string(), Some(Fault::of(&error)));
                sockets.push(Socket { name, path, pid: None, health: None, services: None, fault });
            }
            FolderEvent::Unreadable(error) => return Err(Report::new(error).into()),
            FolderEvent::UpToDate => break,
            _ => {}
        }
    }
    drop(working);
    sockets.sort_by(|one, other| one.path.cmp(&other.path));
    let listing = Listing { directory: dir.display().to_string(), sockets };
    if out.is_json() {
        out.json(&listing);
    } else {
        out.tree(&tree(&listing));
    }
    Ok(Exit::Ok)
}

fn unreadable(error: Report, dir: &Path) -> Report {
    error.wrap_err(format!("cannot read {}", dir.display()))
}

impl Socket {
    /// Dropping the plugin leaves it running.
    fn of(plugin: FolderPlugin) -> Self {
        Self {
            path: plugin.path.display().to_string(),
            pid: plugin.plugin.pid().map(Pid::get),
            health: plugin.health.map(|_| "SERVING"),
            services: plugin.services,
            name: plugin.name,
            fault: None,
        }
    }

    fn tree(&self) -> Tree {
        let mut tree = Tree::new(&self.path);
        tree.fact("name", &self.name);
        if let Some(fault) = &self.fault {
            tree.fact("fault", warn(&fault.message));
            if let Some(help) = &fault.help {
                tree.fact("help", help);
            }
            return tree;
        }
        tree.fact("health", self.health.map_or_else(|| dim("no health service"), str::to_owned));
        match self.pid {
            Some(pid) => tree.fact("process", pid),
            None => tree.fact("process", dim("cannot be seen from here")),
        };
        match &self.services {
            Some(services) => tree.fact("services", services.join(", ")),
            None => tree.fact("services", dim("no reflection")),
        };
        tree
    }
}

impl Fault {
    fn of(error: &(impl Diagnostic + 'static)) -> Self {
        Self {
            code: error.code().map(|code| code.to_string()),
            message: with_causes(error.to_string(), error),
            help: error.help().map(|help| help.to_string()),
        }
    }
}

fn tree(listing: &Listing) -> Tree {
    let mut tree = Tree::new(&listing.directory);
    if listing.sockets.is_empty() {
        tree.line(warn("no socket"));
    }
    for socket in &listing.sockets {
        tree.tree(socket.tree());
    }
    tree
}

/// How long a socket may take to answer.
const TIMEOUT: Duration = Duration::from_secs(5);
