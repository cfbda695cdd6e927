//! For build scripts: Rust code from `.proto` files, without protoc and without tonic's limit on messages.
//!
//! ```no_run
//! // build.rs
//! fn main() -> Result<(), rpcplugin_build::BuildError> {
//!     rpcplugin_build::compile(&["proto/kv.proto"], &["proto"])
//! }
//! ```
//!
//! ```text
//! // main.rs
//! mod kv { tonic::include_proto!("kv.v1"); }
//! const DESCRIPTORS: &[u8] = tonic::include_file_descriptor_set!("descriptors");
//! ```
//!
//! The sources are compiled in memory by [protox](https://docs.rs/protox). `tonic-prost-build` generates the code. Then this
//! crate patches the generated code: servers and clients accept messages of any size. tonic's own limit is 4 MiB, and it can
//! be lifted only by a method call on each client. Hosts in Go have no such limit. Hosts and plugins of rpcplugin have one
//! if it is configured: see `max_receive_message_size` in `rpcplugin-config`.
//!
//! The patch replaces text. It fits one version of `tonic-prost-build`, which is therefore an exact dependency.
//!
//! The crate depends on no other crate of rpcplugin. Generated code needs `tonic`, `tonic-prost` and `prost`.
//!
//! # Invariants
//! - Code that cannot be patched is an error of the build.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod build;
mod error;
mod message_limit_patch;

pub use build::{Build, compile};
pub use error::BuildError;
pub use message_limit_patch::PatchFailed;
