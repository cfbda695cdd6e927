//! `cargo xtask codegen`: from `proto/` to committed Rust code.
//!
//! The sources are compiled in memory by protox, so nobody needs protoc, neither to build the workspace nor to
//! change it. Two files come out for each package: the messages and services, and the encoded descriptor set
//! that gRPC reflection serves.

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
    /// Change nothing; fail if the committed code is not what the sources give
    #[arg(long)]
    pub(crate) check: bool,
}

/// One protobuf package and where its Rust code lives.
struct Package {
    /// The name that the sources declare.
    name: &'static str,
    /// Relative to `proto/`.
    sources: &'static [&'static str],
    /// Fields that hold payload: generated as `Bytes`, which is handed on without a copy.
    payload: &'static [&'static str],
    /// Relative to the workspace.
    directory: &'static str,
    /// The file name, without its ending.
    stem: &'static str,
}

const PACKAGES: &[Package] = &[
    Package {
        name: "plugin",
        sources: &["plugin/grpc_broker.proto", "plugin/grpc_controller.proto", "plugin/grpc_stdio.proto"],
        payload: &[".plugin.StdioData.data"],
        directory: "crates/proto/src/generated",
        stem: "plugin",
    },
    Package {
        name: "conformance.v1",
        sources: &["conformance/v1/kit.proto"],
        payload: &[
            ".conformance.v1.EchoRequest.data",
            ".conformance.v1.EchoResponse.data",
            ".conformance.v1.PutRequest.value",
            ".conformance.v1.GetResponse.value",
            ".conformance.v1.CountResponse.pad",
            ".conformance.v1.BigPayloadResponse.data",
            ".conformance.v1.TransformRequest.data",
            ".conformance.v1.TransformResponse.data",
        ],
        directory: "tests/src/generated",
        stem: "conformance",
    },
    Package {
        name: "rpcplugin.examples.kv.v1",
        sources: &["kv/v1/kv.proto"],
        payload: &[],
        directory: "crates/rpcplugin/examples/kv/generated",
        stem: "kv",
    },
    Package {
        name: "rpcplugin.examples.callback.v1",
        sources: &["callback/v1/callback.proto"],
        payload: &[],
        directory: "crates/rpcplugin/examples/callback/generated",
        stem: "callback",
    },
    Package {
        name: "rpcplugin.examples.greeter.v1",
        sources: &["greeter/v1/greeter.proto"],
        payload: &[],
        directory: "crates/rpcplugin/examples/greeter/generated",
        stem: "greeter_v1",
    },
    Package {
        name: "rpcplugin.examples.greeter.v2",
        sources: &["greeter/v2/greeter.proto"],
        payload: &[],
        directory: "crates/rpcplugin/examples/greeter/generated",
        stem: "greeter_v2",
    },
    Package {
        name: "tfplugin",
        sources: &["tfplugin/messages.proto"],
        payload: &[],
        directory: TERRAFORM,
        stem: "tfplugin",
    },
    Package {
        name: "tfplugin5",
        sources: &["tfplugin/provider5.proto"],
        payload: &[],
        directory: TERRAFORM,
        stem: "tfplugin5",
    },
    Package {
        name: "tfplugin6",
        sources: &["tfplugin/provider6.proto"],
        payload: &[],
        directory: TERRAFORM,
        stem: "tfplugin6",
    },
];

/// The services of both protocols, and the messages that they have in common.
const TERRAFORM: &str = "crates/rpcplugin/examples/terraform/generated";

/// Generates every package, and writes the result or compares it with what is committed.
pub(crate) fn run(options: &Options) -> Outcome {
    let root = workspace::root();
    let mut stale = Vec::new();
    for package in PACKAGES {
        let directory = root.join(package.directory);
        for (name, wanted) in generate(&root, package)? {
            let path = directory.join(&name);
            let current = fs::read(&path).ok();
            if current.as_ref() == Some(&wanted) {
                continue;
            }
            let shown = format!("{}/{name}", package.directory);
            if options.check {
                stale.push(shown);
            } else {
                fs::create_dir_all(&directory)?;
                fs::write(&path, wanted)?;
                println!("wrote {shown}");
            }
        }
    }
    if !stale.is_empty() {
        for path in &stale {
            eprintln!("{path} is not what proto/ gives");
        }
        return Err("generated code is out of date; run `cargo xtask codegen` and commit the result".into());
    }
    println!("generated code matches proto/");
    Ok(())
}

/// The files of one package: name and content.
fn generate(root: &Path, package: &Package) -> Outcome<[(String, Vec<u8>); 2]> {
    let mut descriptors = protox::compile(package.sources, [root.join("proto")])?;
    let code = rust_code(&descriptors, package)?;

    // Comments and positions are of no use at run time.
    for file in &mut descriptors.file {
        file.source_code_info = None;
    }
    Ok([
        (format!("{}.rs", package.stem), rustfmt(root, &code)?),
        (format!("{}_descriptor.bin", package.stem), descriptors.encode_to_vec()),
    ])
}

/// Runs the generator in a directory of its own and hands back the one file that it writes for the package.
fn rust_code(descriptors: &FileDescriptorSet, package: &Package) -> Outcome<Vec<u8>> {
    let scratch = tempfile::tempdir()?;
    let payload = |builder: tonic_prost_build::Builder| {
        package.payload.iter().fold(builder, |builder, field| builder.bytes(*field))
    };
    // Messages of the protocol itself are small. All other code is made as `rpcplugin-build` makes it for its users.
    if package.name != "plugin" {
        Build::new().configure(payload).generate(descriptors.clone(), scratch.path())?;
    } else {
        let builder = tonic_prost_build::configure()
            // No `connect` helper: the host dials, and the code then needs no transport.
            .build_transport(false)
            .emit_rerun_if_changed(false)
            .out_dir(scratch.path());
        payload(builder).compile_fds(descriptors.clone())?;
    }
    Ok(fs::read(scratch.path().join(format!("{}.rs", package.name)))?)
}

/// The code as `cargo fmt` would leave it, so that the two never undo each other.
fn rustfmt(root: &Path, code: &[u8]) -> Outcome<Vec<u8>> {
    let mut child = Command::new("rustfmt")
        .args(["--edition", "2024", "--config-path"])
        .arg(root)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| format!("rustfmt cannot be started ({error}); `rustup component add rustfmt`"))?;
    let mut stdin = child.stdin.take().expect("stdin is piped");
    // rustfmt reads all of its input before it writes, so this cannot block.
    stdin.write_all(code)?;
    drop(stdin);
    let output = child.wait_with_output()?;
    if output.status.success() { Ok(output.stdout) } else { Err("rustfmt refused the generated code".into()) }
}
