//! Which crate may use which: the nine floors of the house, as data.
//!
//! A new arrow is a decision; it is made here, where a reviewer sees it.

use super::Subject;
use crate::workspace::{Crate, Dependency};

/// One crate of the house.
struct Room {
    name: &'static str,
    /// Tests and examples may use any crate of a lower floor.
    floor: u8,
    /// What the crate itself may use.
    may_use: &'static [&'static str],
}

const HOUSE: &[Room] = &[
    Room { name: "rpcplugin-core", floor: 1, may_use: &[] },
    Room { name: "rpcplugin-proto", floor: 1, may_use: &[] },
    Room { name: "rpcplugin-build", floor: 1, may_use: &[] },
    Room { name: "rpcplugin-yamux", floor: 1, may_use: &[] },
    Room { name: "rpcplugin-sandbox", floor: 1, may_use: &[] },
    Room { name: "rpcplugin-handshake", floor: 2, may_use: &["rpcplugin-core"] },
    Room { name: "rpcplugin-mtls", floor: 2, may_use: &["rpcplugin-core"] },
    Room { name: "rpcplugin-config", floor: 2, may_use: &["rpcplugin-core"] },
    Room { name: "rpcplugin-hclog", floor: 2, may_use: &["rpcplugin-core"] },
    Room {
        name: "rpcplugin-transport",
        floor: 3,
        may_use: &["rpcplugin-core", "rpcplugin-mtls", "rpcplugin-yamux"],
    },
    Room {
        name: "rpcplugin-broker",
        floor: 4,
        may_use: &["rpcplugin-core", "rpcplugin-transport", "rpcplugin-proto"],
    },
    Room { name: "rpcplugin-server", floor: 5, may_use: BELOW_THE_SIDES },
    Room {
        name: "rpcplugin-client",
        floor: 5,
        may_use: &[
            "rpcplugin-core",
            "rpcplugin-proto",
            "rpcplugin-handshake",
            "rpcplugin-mtls",
            "rpcplugin-config",
            "rpcplugin-hclog",
            "rpcplugin-transport",
            "rpcplugin-broker",
            "rpcplugin-sandbox",
        ],
    },
    Room {
        name: "rpcplugin-otel",
        floor: 6,
        may_use: &["rpcplugin-core", "rpcplugin-transport", "rpcplugin-server", "rpcplugin-client"],
    },
    Room {
        name: "rpcplugin-testing",
        floor: 6,
        may_use: &[
            "rpcplugin-core",
            "rpcplugin-config",
            "rpcplugin-transport",
            "rpcplugin-server",
            "rpcplugin-client",
        ],
    },
    Room {
        name: "rpcplugin-docker",
        floor: 6,
        may_use: &[
            "rpcplugin-core",
            "rpcplugin-handshake",
            "rpcplugin-transport",
            "rpcplugin-broker",
            "rpcplugin-client",
        ],
    },
    Room {
        name: "rpcplugin",
        floor: 7,
        may_use: &[
            "rpcplugin-core",
            "rpcplugin-config",
            "rpcplugin-client",
            "rpcplugin-server",
            // Only to re-export what their users need.
            "rpcplugin-handshake",
            "rpcplugin-mtls",
            "rpcplugin-hclog",
            "rpcplugin-transport",
            "rpcplugin-broker",
            "rpcplugin-otel",
            "rpcplugin-testing",
            "rpcplugin-docker",
        ],
    },
    // Runners are crates of their own: the libraries that they need are large. Their tests may use the facade.
    Room {
        name: "rpcplugin-kube",
        floor: 8,
        may_use: &["rpcplugin-core", "rpcplugin-transport", "rpcplugin-broker", "rpcplugin-client"],
    },
    Room { name: "rpcplugin-cli", floor: 9, may_use: &["rpcplugin", "rpcplugin-kube"] },
];

/// The two sides use everything below them, and never each other.
const BELOW_THE_SIDES: &[&str] = &[
    "rpcplugin-core",
    "rpcplugin-proto",
    "rpcplugin-handshake",
    "rpcplugin-mtls",
    "rpcplugin-config",
    "rpcplugin-hclog",
    "rpcplugin-transport",
    "rpcplugin-broker",
];

/// Every arrow between published crates is in the table.
pub(super) fn check(subject: &Subject) -> Vec<String> {
    subject.workspace.published().flat_map(check_crate).collect()
}

fn check_crate(one: &Crate) -> Vec<String> {
    let Some(room) = room(&one.name) else {
        return vec![format!(
            "{} has no room in the house; give it one in xtask/src/tidy/arrows.rs",
            one.name
        )];
    };
    let ours = one.dependencies.iter().filter(|dependency| is_ours(&dependency.name));
    ours.filter(|dependency| !allowed(room, dependency)).map(|dependency| refusal(room, dependency)).collect()
}

fn is_ours(name: &str) -> bool {
    name == "rpcplugin" || name.starts_with("rpcplugin-")
}

fn allowed(from: &Room, to: &Dependency) -> bool {
    let below = || room(&to.name).is_some_and(|target| target.floor < from.floor);
    from.may_use.contains(&to.name.as_str()) || (is_dev(to) && below())
}

fn is_dev(to: &Dependency) -> bool {
    to.kind.as_deref() == Some("dev")
}

fn refusal(from: &Room, to: &Dependency) -> String {
    let whose = if is_dev(to) { "the tests of " } else { "" };
    format!("{whose}{} may not use {}", from.name, to.name)
}

fn room(name: &str) -> Option<&'static Room> {
    HOUSE.iter().find(|room| room.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn verdict(from: &str, to: &str, dev: bool) -> bool {
        allowed(room(from).unwrap(), &Dependency { name: to.to_owned(), kind: dev.then(|| "dev".to_owned()) })
    }

    #[test]
    fn arrows_point_down() {
        for room in HOUSE {
            for name in room.may_use {
                assert!(self::room(name).unwrap().floor < room.floor, "{} -> {name}", room.name);
            }
        }
    }

    #[test]
    fn the_two_sides_never_meet() {
        for dev in [false, true] {
            assert!(!verdict("rpcplugin-client", "rpcplugin-server", dev));
            assert!(!verdict("rpcplugin-server", "rpcplugin-client", dev));
        }
    }

    #[test]
    fn tests_may_use_what_lies_below() {
        assert!(!verdict("rpcplugin-broker", "rpcplugin-mtls", false));
        assert!(verdict("rpcplugin-broker", "rpcplugin-mtls", true));
        assert!(!verdict("rpcplugin-broker", "rpcplugin", true));
    }
}
