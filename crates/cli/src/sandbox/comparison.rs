//! What one sandbox allows beyond another.

use std::path::Path;

use rpcplugin::sandbox::{Enforce, Sandbox};

use super::limit::LimitKind;

/// What `asked` allows beyond `granted`, in words. Empty if `granted` covers it.
pub(crate) fn excess(asked: &Sandbox, granted: &Sandbox) -> Vec<String> {
    let lines = granted.capabilities();
    let mut beyond: Vec<String> = asked
        .capabilities()
        .into_iter()
        .filter(|line| !lines.contains(line) && !is_covered(line, asked, granted))
        .map(|line| words(&line))
        .collect();
    for kind in LimitKind::ALL {
        let limits = (kind.of(asked.resource_limits()), kind.of(granted.resource_limits()));
        match limits {
            (Some(asked), None) if kind == LimitKind::Core => beyond.push(format!("the limit {asked}")),
            (Some(asked), Some(granted)) if asked.value > granted.value => {
                beyond.push(format!("the limit {asked} in place of {granted}"));
            }
            (None, Some(granted)) if kind != LimitKind::Core => {
                beyond.push(format!("no limit in place of {granted}"));
            }
            _ => {}
        }
    }
    if asked.enforcement() == Enforce::BestEffort && granted.enforcement() != Enforce::BestEffort {
        beyond.push(BEST_EFFORT.to_owned());
    }
    beyond
}

/// Whether a line is part of a larger grant.
fn is_covered(line: &str, asked: &Sandbox, granted: &Sandbox) -> bool {
    let is_below =
        |path: &str, grants: Vec<&Path>| grants.iter().any(|granted| Path::new(path).starts_with(granted));
    let network = granted.network_allowed();
    match line.split_once(' ') {
        // Who may write or execute may also read.
        Some(("read", path)) => is_below(
            path,
            granted.read_paths().chain(granted.write_paths()).chain(granted.execute_paths()).collect(),
        ),
        Some(("write", path)) => is_below(path, granted.write_paths().collect()),
        Some(("execute", path)) => is_below(path, granted.execute_paths().collect()),
        Some(("connect", rest)) => port(rest).is_some_and(|port| network.may_connect(port)),
        Some(("listen", rest)) => port(rest).is_some_and(|port| network.may_listen(port)),
        _ => asked == granted,
    }
}

fn port(rest: &str) -> Option<u16> {
    rest.strip_prefix("tcp ")?.parse().ok()
}

/// A line of [`Sandbox::capabilities`] in words.
pub(crate) fn words(line: &str) -> String {
    match line.split_once(' ') {
        Some(("environment", name)) => format!("read the variable {name}"),
        Some(("system_calls", group)) => format!("make the system calls of the group {group}"),
        Some(("unix_sockets", _)) => "connect to every Unix socket of the user".to_owned(),
        Some(("connect", "tcp all")) => "connect to every TCP port".to_owned(),
        Some(("listen", "tcp all")) => "listen on every TCP port".to_owned(),
        Some(("connect", rest)) => format!("connect to {}", rest.replace("tcp", "TCP port")),
        Some(("listen", rest)) => format!("listen on {}", rest.replace("tcp", "TCP port")),
        None if line == "udp" => "use UDP".to_owned(),
        _ => line.to_owned(),
    }
}

/// The words for a sandbox that need not be enforced.
pub(super) const BEST_EFFORT: &str = "start on a system that cannot enforce all of the sandbox";

#[cfg(test)]
mod tests {
    use rpcplugin::sandbox::{Limits, Network};

    use super::*;

    #[test]
    fn a_larger_grant_covers_a_smaller_one() {
        let granted = Sandbox::new()
            .read("/srv")
            .write("/var/cache")
            .environment(["LANG", "TZ"])
            .network(Network::all())
            .limits(Limits::new().memory(8).core_size(4));
        let limits = Limits::new().memory(7).open_files(3);
        let asked = Sandbox::new()
            .read("/srv/data")
            .read("/var/cache/a")
            .environment(["TZ"])
            .network(Network::none().connect([443]).listen([0]).udp())
            .limits(limits);
        assert_eq!(excess(&asked, &granted), Vec::<String>::new());
        assert_eq!(excess(&granted, &granted), Vec::<String>::new());
    }

    #[test]
    fn each_thing_beyond_a_grant_is_named() {
        let granted = Sandbox::new()
            .read("/srv/data")
            .network(Network::none().connect([80]))
            .limits(Limits::new().memory(8 << 20).open_files(9));
        let asked = Sandbox::new()
            .read("/srv")
            .write("/srv/data")
            .execute("/srv/data/x")
            .environment(["LANG"])
            .network(Network::none().connect([443]).udp())
            .limits(Limits::new().memory(9 << 20).core_size(1))
            .enforce(Enforce::BestEffort);
        assert_eq!(
            excess(&asked, &granted),
            [
                "connect to TCP port 443",
                "read the variable LANG",
                "execute /srv/data/x",
                "read /srv",
                "use UDP",
                "write /srv/data",
                "the limit memory=9M in place of memory=8M",
                "no limit in place of files=9",
                "the limit core=1",
                BEST_EFFORT,
            ]
        );
    }
}
