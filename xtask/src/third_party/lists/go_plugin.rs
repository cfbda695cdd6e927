//! The examples of go-plugin itself, of its first version and of the newest.

use crate::third_party::entry::{Call, Entry, Role, Source, Speaks};

const OPTIONS: &[&str] = &["--cookie", "BASIC_PLUGIN=hello"];

/// The first version has no reflection.
const KV_SCHEMA: &[&str] = &["--proto", "{source}/examples/grpc/proto/kv.proto"];
const COUNTER_SCHEMA: &[&str] = &["--proto", "{source}/examples/bidirectional/proto/kv.proto"];

const KV: Speaks = Speaks::Grpc(&[
    Call::new("KV/Put", r#"{"key":"greeting","value":"aGVsbG8="}"#, "{}"),
    Call::new("KV/Get", r#"{"key":"greeting"}"#, "aGVsbG8"),
]);

/// The plugin calls the host back, which answers with 3.
const COUNTER: Speaks = Speaks::Grpc(&[
    Call::new("Counter/Put", r#"{"key":"sum","value":"2"}"#, "{}")
        .serving(&[("AddHelper", r#"{"Sum":{"r":"3"}}"#)]),
    Call::new("Counter/Get", r#"{"key":"sum"}"#, "3"),
]);

/// Under AutoMTLS a plugin on the first go-plugin expects the name `unused` in the certificate of a brokered service, and refuses it.
const OLD_COUNTER: Speaks = Speaks::Grpc(&[
    Call::failing("Counter/Put", r#"{"key":"sum","value":"2"}"#, "valid for localhost, not unused")
        .serving(&[("AddHelper", r#"{"Sum":{"r":"3"}}"#)]),
    Call::new("Counter/Put", r#"{"key":"sum","value":"2"}"#, "{}")
        .with(&["--no-mtls"])
        .serving(&[("AddHelper", r#"{"Sum":{"r":"3"}}"#)]),
]);

const REFUSED: Speaks = Speaks::Refused("rpcplugin::protocol::net_rpc");

pub(super) const ENTRIES: &[Entry] = &[
    plugin("kv", NEW, "examples/grpc/plugin-go-grpc", &[], KV),
    plugin("counter", NEW, "examples/bidirectional/plugin-go-grpc", &[], COUNTER),
    plugin("negotiated", NEW, "examples/negotiated/plugin-go", &[], KV),
    plugin(
        "streamer",
        NEW,
        "examples/streaming/plugin",
        &[],
        Speaks::Grpc(&[Call::new(
            "StreamerService/Configure",
            r#"{"path":"stream.txt","chunk_size":"4"}"#,
            "{}",
        )]),
    ),
    plugin("kv-net-rpc", NEW, "examples/grpc/plugin-go-netrpc", &[], REFUSED),
    plugin("greeter", NEW, "examples/basic/plugin", &[], REFUSED),
    host("kv-host", NEW, "examples/grpc"),
    host("counter-host", NEW, "examples/bidirectional"),
    plugin("kv-1.0", OLD, "examples/grpc/plugin-go-grpc", KV_SCHEMA, KV),
    plugin("counter-1.0", OLD, "examples/bidirectional/plugin-go-grpc", COUNTER_SCHEMA, OLD_COUNTER),
    plugin("negotiated-1.0", OLD, "examples/negotiated/plugin-go", KV_SCHEMA, KV),
    plugin("greeter-1.0", OLD, "examples/basic/plugin", &[], REFUSED),
    host("kv-host-1.0", OLD, "examples/grpc"),
];

const NEW: &str = "v1.8.0";
const OLD: &str = "v1.0.0";

const fn plugin(
    name: &'static str,
    version: &'static str,
    package: &'static str,
    schema: &'static [&'static str],
    speaks: Speaks,
) -> Entry {
    Entry {
        name,
        source: source(version, package),
        role: Role::Plugin { options: OPTIONS, schema, arguments: &[], speaks },
    }
}

const fn host(name: &'static str, version: &'static str, package: &'static str) -> Entry {
    Entry { name, source: source(version, package), role: Role::Host }
}

const fn source(version: &'static str, package: &'static str) -> Source {
    Source::Go { module: "github.com/hashicorp/go-plugin", version, package, described_in: "", replace: &[] }
}
