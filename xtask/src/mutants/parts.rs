//! The code whose mutants are tested.

/// Code of one crate. The tests of the crate have to notice its mutants.
#[derive(Debug)]
pub(super) struct Part {
    /// As `--only` and the page have it.
    pub(super) name: &'static str,
    package: &'static str,
    /// Patterns of the files.
    files: &'static [&'static str],
}

impl Part {
    /// The arguments of cargo-mutants that choose the code and its tests. Examples in documentation show an item more than they test it.
    pub(super) fn arguments(&self) -> Vec<&str> {
        let mut arguments = vec!["--package", self.package];
        arguments.extend(self.files.iter().flat_map(|file| ["--file", file]));
        arguments.extend(["--", "--lib", "--tests"]);
        arguments
    }
}

/// All parts: code that decides much, and whose tests need no other process.
pub(super) const PARTS: &[Part] = &[
    Part { name: "core", package: "rpcplugin-core", files: &[] },
    Part { name: "handshake", package: "rpcplugin-handshake", files: &[] },
    Part { name: "mtls", package: "rpcplugin-mtls", files: &[] },
    Part { name: "hclog", package: "rpcplugin-hclog", files: &[] },
    Part { name: "config", package: "rpcplugin-config", files: &[] },
    Part { name: "broker", package: "rpcplugin-broker", files: &[] },
    Part { name: "yamux", package: "rpcplugin-yamux", files: &[] },
    Part {
        name: "rate-limit",
        package: "rpcplugin-server",
        files: &["crates/server/src/layers/rate_limit.rs"],
    },
    Part {
        name: "supervision-budget",
        package: "rpcplugin-client",
        files: &["crates/client/src/supervise/budget.rs"],
    },
];
