//! The bodies of the fuzz targets in `tests/fuzz`, so that the tests run the same code on every seed.
//!
//! A body takes any bytes and panics if a property does not hold. Its module says which property.

#![cfg(unix)]

mod broker;
mod calls;
#[expect(dead_code, reason = "parts of the program that the targets do not use")]
mod commands;
mod configuration;
mod handshake;
mod http2;
mod input;
mod log;
mod memory;
mod program;
#[expect(dead_code, reason = "parts of the program that the targets do not use")]
mod protojson;
mod sandbox;
#[expect(dead_code, reason = "parts of the program that the targets do not use")]
mod schema;
mod trust;
mod values;
mod yamux;

/// A fuzz target.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::exhaustive_structs, reason = "this crate is for the tests of this workspace alone")]
pub struct Target {
    /// The name, which is that of the program in `tests/fuzz` and of the folder with the seeds.
    pub name: &'static str,
    /// The bytes that it reads.
    pub reads: &'static str,
    /// The code that is tested, as folders and files below `crates`.
    pub tests: &'static [&'static str],
    /// The body. It panics if a property does not hold.
    pub run: fn(&[u8]),
}

/// All targets, by name.
pub const TARGETS: &[Target] = &[
    Target {
        name: "broker",
        reads: "messages of a peer's broker, in any order with what this side does",
        tests: &["broker/src/router"],
        run: broker::broker,
    },
    Target {
        name: "call_headers",
        reads: "timeout, trace context and status in the headers of a call",
        tests: &[
            "transport/src/call/timeout",
            "core/src/trace_context",
            "transport/src/http2/client/status_details",
        ],
        run: calls::call_headers,
    },
    Target {
        name: "call_messages",
        reads: "the messages in the body of a call, and frames of HTTP/2 as they are counted and merged",
        tests: &[
            "transport/src/call/message_scan",
            "transport/src/frames/header_blocks",
            "transport/src/frames/message_counter",
        ],
        run: calls::call_messages,
    },
    Target {
        name: "certificates",
        reads: "certificates and keys: DER of a handshake line, PEM of the environment, of settings and of files",
        tests: &[
            "mtls/src/pem",
            "mtls/src/peer",
            "mtls/src/trust",
            "mtls/src/identity",
            "mtls/src/der",
            "mtls/src/validity",
        ],
        run: handshake::certificates,
    },
    Target {
        name: "configuration",
        reads: "configuration files in TOML and JSON, and variables",
        tests: &["config/src"],
        run: configuration::configuration,
    },
    Target {
        name: "descriptors",
        reads: "descriptors from a plugin's reflection, and messages that they describe",
        tests: &[
            "cli/src/schema/check",
            "cli/src/schema/descriptor",
            "cli/src/schema/features",
            "cli/src/schema/pool",
        ],
        run: program::descriptors,
    },
    Target {
        name: "endpoints",
        reads: "addresses of sockets, and the records of processes beside them",
        tests: &["core/src/endpoint", "transport/src/net/unix/owner"],
        run: values::endpoints,
    },
    Target {
        name: "handover",
        reads: "the data with which a host attaches: reattach configurations and handovers",
        tests: &["handshake/src/reattach", "client/src/reattach"],
        run: handshake::handover,
    },
    Target {
        name: "handshake_line",
        reads: "a plugin's handshake line",
        tests: &["handshake/src/handshake_line"],
        run: handshake::handshake_line,
    },
    Target {
        name: "handshake_variables",
        reads: "the variables that a host sets for a plugin",
        tests: &["handshake/src/host_env", "handshake/src/go_strconv", "handshake/src/lane"],
        run: handshake::handshake_variables,
    },
    Target {
        name: "http2_client",
        reads: "what a plugin sends on a connection: HTTP/2 or the lane, with answers of GRPCStdio",
        tests: &["transport/src/http2/client", "transport/src/frames", "transport/src/call/incoming"],
        run: http2::http2_client,
    },
    Target {
        name: "http2_server",
        reads: "what a host sends on a connection: HTTP/2 or the lane, with any calls",
        tests: &["transport/src/http2/server", "transport/src/frames", "transport/src/call"],
        run: http2::http2_server,
    },
    Target {
        name: "instances",
        reads: "the id and the configuration of an instance",
        tests: &["core/src/instance"],
        run: values::instances,
    },
    Target {
        name: "json_requests",
        reads: "JSON and bytes of messages, as `rpcplugin call` converts them",
        tests: &["cli/src/protojson"],
        run: program::json_requests,
    },
    Target {
        name: "lane",
        reads: "what a peer sends on the lane, while this side uses its calls",
        tests: &["transport/src/lane"],
        run: http2::lane,
    },
    Target {
        name: "lock_file",
        reads: "the lock file of `rpcplugin trust`",
        tests: &["cli/src/trust/text"],
        run: program::lock_file,
    },
    Target {
        name: "log",
        reads: "a plugin's stderr: records of hclog and lines of other loggers",
        tests: &["hclog/src/parser", "hclog/src/timestamp", "hclog/src/level"],
        run: log::log,
    },
    Target {
        name: "metadata",
        reads: "a program file with a block of metadata",
        tests: &["core/src/metadata"],
        run: values::metadata,
    },
    Target {
        name: "output",
        reads: "a plugin's stdout before its handshake line, alone and merged with its stderr",
        tests: &["client/src/streams/handshake_line", "client/src/process/merged"],
        run: log::output,
    },
    Target {
        name: "recording",
        reads: "a recording of `rpcplugin tap`, as `rpcplugin replay` reads it",
        tests: &["cli/src/commands/replay/recording"],
        run: program::recording,
    },
    Target {
        name: "tap_http2",
        reads: "both directions of a connection through `rpcplugin tap`",
        tests: &["cli/src/commands/tap/http2"],
        run: program::tap_http2,
    },
    Target {
        name: "tap_messages",
        reads: "messages through `rpcplugin tap`: those of the broker, and values of Terraform",
        tests: &["cli/src/commands/tap/conn_info", "cli/src/protojson/dynamic_value"],
        run: program::tap_messages,
    },
    Target {
        name: "yamux",
        reads: "the bytes of a multiplexed connection",
        tests: &["yamux/src"],
        run: yamux::yamux,
    },
    Target {
        name: "yamux_pair",
        reads: "what two ends of a multiplexed connection do, and how the connection divides their bytes",
        tests: &["yamux/src"],
        run: yamux::yamux_pair,
    },
];

/// Returns the body of a target.
///
/// In a constant, so that a program has the code of one target alone: libFuzzer looks at every counter of the program after each
/// execution.
///
/// # Panics
/// If there is no such target.
pub const fn body(target: &str) -> fn(&[u8]) {
    let mut at = 0;
    while at < TARGETS.len() {
        if is_same(TARGETS[at].name.as_bytes(), target.as_bytes()) {
            return TARGETS[at].run;
        }
        at += 1;
    }
    panic!("no target has this name")
}

const fn is_same(one: &[u8], other: &[u8]) -> bool {
    let mut at = 0;
    while at < one.len() && at < other.len() && one[at] == other[at] {
        at += 1;
    }
    at == one.len() && at == other.len()
}
