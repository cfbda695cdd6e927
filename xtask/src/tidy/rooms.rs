//! The order of the rooms inside each crate, as data: a file imports only what stands below it.
//!
//! A room is a folder of `src`, with the file of the same name, or a single file. `arrows.rs` has the same for the crates.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Subject,
    imports::{Import, Imports},
};

/// The rooms of one crate, the lowest first.
struct Crate {
    folder: &'static str,
    rooms: &'static [&'static str],
}

/// Crates with more than one room. Files in no folder that are not listed stand above all rooms.
const CRATES: &[Crate] = &[
    Crate {
        folder: "crates/otel",
        rooms: &[
            "error",
            "settings",
            "pipeline",
            "propagation",
            "traffic",
            "rpc",
            "metrics",
            "calls",
            "telemetry",
        ],
    },
    Crate {
        folder: "crates/server",
        rooms: &[
            "os",
            "environment",
            "error",
            "span",
            "stdio",
            "logging",
            "security",
            "shutdown",
            "instances",
            "layers",
            "listen",
            "services",
            "context",
            "protocol",
            "readiness",
            "serve",
            "lifecycle",
            "test_mode",
            "in_process",
            "watchdog",
            "run",
        ],
    },
    Crate {
        folder: "crates/client",
        rooms: &[
            "os",
            "quoted",
            "backoff",
            "exit",
            "plugin_id",
            "error",
            "requirements",
            "program",
            "command",
            "observe",
            "process",
            "streams",
            "connection",
            "instances",
            "reattach",
            "host",
            "plugin",
            "launch",
            "attach",
            "folder",
            "supervise",
            "set",
            "fuzzing",
        ],
    },
    Crate {
        folder: "crates/sandbox",
        rooms: &[
            "confinement",
            "denied",
            "error",
            "limits",
            "network",
            "system_calls",
            "program",
            "sandbox",
            "words",
            "os",
            "prepared",
        ],
    },
    Crate { folder: "crates/testing", rooms: &["memory", "task", "in_process", "runner"] },
    Crate {
        folder: "crates/kube",
        rooms: &[
            "os",
            "text",
            "settings",
            "error",
            "status",
            "pod_ref",
            "events",
            "cluster",
            "host_id",
            "orphans",
            "follow",
            "logs",
            "addresses",
            "forward",
            "manifest",
            "process",
            "pod",
        ],
    },
    Crate {
        folder: "crates/config",
        rooms: &["os", "side", "value", "error", "schema", "tables", "catalog", "loader", "registry"],
    },
    Crate {
        folder: "crates/mtls",
        rooms: &[
            "os", "validity", "der", "usage", "pem", "provider", "peer", "identity", "trust", "verifier",
            "mutual",
        ],
    },
    Crate {
        folder: "crates/cli",
        rooms: &[
            "exit",
            "error",
            "os",
            "ui",
            "facts",
            "protojson",
            "schema",
            "runner",
            "calls",
            "raw_host",
            "stand_in",
            "sandbox",
            "trust",
            "plugin_args",
            "commands",
            "cli",
        ],
    },
    Crate {
        folder: "crates/transport",
        rooms: &[
            "os", "cleanup", "io", "awake", "net", "frames", "tls", "meter", "service", "call", "lane",
            "http2", "fuzzing",
        ],
    },
    Crate {
        folder: "crates/hclog",
        rooms: &["level", "timestamp", "encode", "sink", "record", "parser", "layer"],
    },
    Crate {
        folder: "crates/broker",
        rooms: &[
            "ids",
            "settings",
            "error",
            "router",
            "fuzzing",
            "shared",
            "message_stream",
            "session",
            "accept",
            "dial",
            "broker",
        ],
    },
    Crate {
        folder: "crates/docker",
        rooms: &[
            "os",
            "error",
            "options",
            "engine",
            "image",
            "translate",
            "user",
            "spec",
            "sandboxed",
            "exit",
            "removal",
            "orphans",
            "attached",
            "keeper",
            "process",
            "container",
        ],
    },
    Crate { folder: "crates/build", rooms: &["message_limit_patch", "error", "build"] },
    Crate {
        folder: "crates/yamux",
        rooms: &["error", "frame", "config", "state", "shared", "batch", "driver", "stream", "session"],
    },
];

/// The module that has all code of one operating system.
const SYSTEM: &str = "os";

/// No file imports a room above its own, and no files import each other in a circle.
pub(super) fn check(subject: &Subject) -> Vec<String> {
    let folders: BTreeSet<&str> = subject.texts.iter().filter_map(|text| crate_of(&text.path)).collect();
    folders.into_iter().flat_map(|folder| check_crate(subject, folder)).collect()
}

fn check_crate(subject: &Subject, folder: &str) -> Vec<String> {
    let prefix = format!("{folder}/src/");
    let sources = || {
        let files = subject.texts.iter().filter(|text| text.path.ends_with(".rs"));
        files.filter_map(|text| Some((text.path.strip_prefix(&prefix)?, text.content.as_str())))
    };
    let imports = match Imports::read(sources().filter(|(file, _)| !is_test(file))) {
        Ok(imports) => imports.between_files(),
        Err(error) => return vec![format!("{folder}: {error}")],
    };
    let mut faults: Vec<String> = upward(folder, &imports);
    faults.extend(
        circles(&imports).into_iter().map(|circle| format!("{folder}: circle of {}", circle.join(", "))),
    );
    faults.extend(sources().filter(|(file, text)| room(file) != SYSTEM && names_a_system(text)).map(
        |(file, _)| format!("{folder}: {file} has code for one operating system; it belongs in `{SYSTEM}`"),
    ));
    faults
}

/// Imports of a room above the importing one.
fn upward(folder: &str, imports: &BTreeSet<Import>) -> Vec<String> {
    let Some(order) = CRATES.iter().find(|order| order.folder == folder) else { return Vec::new() };
    let height = |file: &str| {
        let room = room(file);
        order.rooms.iter().position(|known| *known == room).unwrap_or(order.rooms.len())
    };
    imports
        .iter()
        .filter(|import| height(&import.from) < height(&import.to))
        .map(|import| {
            format!("{folder}: {} imports `{}` from {}, which is above", import.from, import.name, import.to)
        })
        .collect()
}

/// The groups of files that import each other in a circle.
fn circles(imports: &BTreeSet<Import>) -> Vec<Vec<&str>> {
    let mut next: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for import in imports {
        next.entry(&import.from).or_default().insert(&import.to);
    }
    let reachable = |start: &str| {
        let mut seen = BTreeSet::new();
        let mut open: Vec<&str> = next.get(start).into_iter().flatten().copied().collect();
        while let Some(file) = open.pop() {
            if seen.insert(file) {
                open.extend(next.get(file).into_iter().flatten());
            }
        }
        seen
    };
    let from: BTreeMap<&str, BTreeSet<&str>> = next.keys().map(|file| (*file, reachable(file))).collect();
    let mut found: Vec<Vec<&str>> = from
        .iter()
        .filter(|(file, reached)| reached.contains(*file))
        .map(|(file, reached)| {
            let both_ways = |other: &&str| from.get(*other).is_some_and(|back| back.contains(file));
            reached.iter().copied().filter(|other| both_ways(other)).collect()
        })
        .collect();
    found.sort();
    found.dedup();
    found
}

/// `crates/NAME` of a file in `crates/NAME/src`.
fn crate_of(path: &str) -> Option<&str> {
    let (folder, _) = path.split_once("/src/")?;
    (folder.starts_with("crates/") && folder.matches('/').count() == 1).then_some(folder)
}

/// The folder of a file, or the name of a file that stands in none.
fn room(file: &str) -> &str {
    file.split('/').next().unwrap_or(file).trim_end_matches(".rs")
}

fn is_test(file: &str) -> bool {
    file.split('/').any(|part| part.trim_end_matches(".rs") == "tests")
}

fn names_a_system(text: &str) -> bool {
    let conditions = ["target_os", "cfg(unix)", "cfg(windows)", "cfg(not(unix))", "std::os::"];
    let code = text.split("#[cfg(test)]").next().unwrap_or(text);
    code.lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .any(|line| conditions.iter().any(|condition| line.contains(condition)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_import_each_other_are_found() {
        let import =
            |from: &str, to: &str| Import { from: from.to_owned(), to: to.to_owned(), name: String::new() };
        let imports =
            BTreeSet::from([import("a", "b"), import("b", "c"), import("c", "b"), import("c", "d")]);
        assert_eq!(circles(&imports), [["b", "c"]]);
    }
}
