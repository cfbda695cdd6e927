//! `cargo xtask codegen`: from `proto/` to committed Rust code.
//!
//! protox compiles the sources in memory, so protoc is needed neither to build the workspace nor to change it. Each package
//! has two files: the messages and services, and the encoded descriptor set that gRPC reflection serves.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use prost::Message;
use prost_types::FileDescriptorSet;
use rpcplugin_build::Build;

use crate::workspace::{self, Outcome};

/// Options of `cargo xtask codegen`.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Change nothing; fail if the committed code differs from the generated code
    #[arg(long)]
    pub(crate) check: bool,
}

/// One protobuf package: its name, its sources below `proto/`, the directory of its Rust code, and the name of the files
/// without their endings.
type Package = (&'static str, &'static [&'static str], &'static str, &'static str);

const PACKAGES: &[Package] = &[
    (
        PROTOCOL,
        &["plugin/grpc_broker.proto", "plugin/grpc_controller.proto", "plugin/grpc_stdio.proto"],
        "crates/proto/src/generated",
        "plugin",
    ),
    (EXTENSIONS, &["rpcplugin/v1/instances.proto"], "crates/proto/src/generated", "instances"),
    (EXTENSIONS, &["rpcplugin/v1/metadata.proto"], "crates/proto/src/generated", "metadata"),
    ("conformance.v1", &["conformance/v1/kit.proto"], "tests/src/generated", "conformance"),
    ("rpcplugin.examples.kv.v1", &["kv/v1/kv.proto"], "crates/rpcplugin/examples/kv/generated", "kv"),
    (
        "rpcplugin.examples.callback.v1",
        &["callback/v1/callback.proto"],
        "crates/rpcplugin/examples/callback/generated",
        "callback",
    ),
    (
        "rpcplugin.examples.indexer.v1",
        &["indexer/v1/indexer.proto"],
        "crates/rpcplugin/examples/indexer/generated",
        "indexer",
    ),
    ("rpcplugin.examples.greeter.v1", &["greeter/v1/greeter.proto"], GREETER, "greeter_v1"),
    ("rpcplugin.examples.greeter.v2", &["greeter/v2/greeter.proto"], GREETER, "greeter_v2"),
    ("pluginv2", &["grafana/backend.proto"], "crates/rpcplugin/examples/grafana/generated", "pluginv2"),
    // The services of both protocols, and the messages that they share.
    ("tfplugin", &["tfplugin/messages.proto"], TERRAFORM, "tfplugin"),
    ("tfplugin5", &["tfplugin/provider5.proto"], TERRAFORM, "tfplugin5"),
    ("tfplugin6", &["tfplugin/provider6.proto"], TERRAFORM, "tfplugin6"),
];

const PROTOCOL: &str = "plugin";
/// The services that rpcplugin adds to the protocol.
const EXTENSIONS: &str = "rpcplugin.v1";
const GREETER: &str = "crates/rpcplugin/examples/greeter/generated";
const TERRAFORM: &str = "crates/rpcplugin/examples/terraform/generated";

/// Fields with payload. They are generated as `Bytes`, which is handed on without a copy.
const PAYLOAD: &[&str] = &[
    ".plugin.StdioData.data",
    ".conformance.v1.EchoRequest.data",
    ".conformance.v1.EchoResponse.data",
    ".conformance.v1.PutRequest.value",
    ".conformance.v1.GetResponse.value",
    ".conformance.v1.CountResponse.pad",
    ".conformance.v1.BigPayloadResponse.data",
    ".conformance.v1.TransformRequest.data",
    ".conformance.v1.TransformResponse.data",
];

/// Messages that may contain secrets. Their `Debug` is written by hand.
const SECRET: &[&str] = &[".rpcplugin.v1.CreateInstanceRequest"];

/// Generates every package, and writes the code or compares it with the committed code.
pub(crate) fn run(options: &Options) -> Outcome {
    let root = workspace::root();
    let mut is_stale = false;
    for package in PACKAGES {
        for (name, wanted) in generate(&root, package)? {
            is_stale |= !workspace::settle(&name, &wanted, options.check)?;
        }
    }
    if is_stale {
        return Err("generated code is out of date; run `cargo xtask codegen` and commit the result".into());
    }
    Ok(())
}

/// The files of one package, with their paths in the workspace.
fn generate(root: &Path, package: &Package) -> Outcome<[(String, Vec<u8>); 2]> {
    let (name, sources, directory, stem) = package;
    let mut descriptors = protox::compile(*sources, [root.join("proto")])?;
    let code = rust_code(&descriptors, name)?;
    // Comments and positions are of no use at run time.
    for file in &mut descriptors.file {
        file.source_code_info = None;
    }
    Ok([
        (format!("{directory}/{stem}.rs"), rustfmt(root, &code)?),
        (format!("{directory}/{stem}_descriptor.bin"), descriptors.encode_to_vec()),
    ])
}

/// Runs the generator in a directory of its own and returns the one file that it writes for the package.
fn rust_code(descriptors: &FileDescriptorSet, name: &str) -> Outcome<Vec<u8>> {
    let scratch = tempfile::tempdir()?;
    let of_package = |field: &&&str| field.starts_with(&format!(".{name}."));
    let payload = |builder: tonic_prost_build::Builder| {
        PAYLOAD.iter().filter(of_package).fold(builder, |builder, field| builder.bytes(*field))
    };
    // Messages of the protocol and of its extensions are small. All other code is generated as `rpcplugin-build` generates it for its users.
    if ![PROTOCOL, EXTENSIONS].contains(&name) {
        Build::new().configure(payload).generate(descriptors.clone(), scratch.path())?;
    } else {
        let builder = tonic_prost_build::configure()
            // No `connect` helper: the host connects, and the code then needs no transport.
            .build_transport(false)
            .emit_rerun_if_changed(false)
            .skip_debug(SECRET)
            .out_dir(scratch.path());
        payload(builder).compile_fds(descriptors.clone())?;
    }
    Ok(fs::read(scratch.path().join(format!("{name}.rs")))?)
}

/// The code as `cargo fmt` formats it, so that neither changes the output of the other.
fn rustfmt(root: &Path, code: &[u8]) -> Outcome<Vec<u8>> {
    let mut child = Command::new("rustfmt")
        .args(["--edition", "2024", "--config-path"])
        .arg(root)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| format!("rustfmt cannot be started ({error}); `rustup component add rustfmt`"))?;
    let mut stdin = child.stdin.take().expect("stdin is piped");
    // rustfmt reads all of its input before it writes, and so this cannot block.
    stdin.write_all(code)?;
    drop(stdin);
    let output = child.wait_with_output()?;
    if output.status.success() { Ok(output.stdout) } else { Err("rustfmt refused the generated code".into()) }
}
