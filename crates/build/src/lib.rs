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
//! What comes out is what `tonic-prost-build` writes, but for one thing: generated servers and clients take messages
//! of any size. tonic's own refuse those above 4 MiB, and have no switch for it but a method that must be called on
//! each client that is ever made. Go hosts have no such limit, and neither have the plugins and hosts of rpcplugin
//! unless one is configured: see `max_receive_message_size` in `rpcplugin-config`.
//!
//! The sources are compiled in memory by [protox](https://docs.rs/protox), so nobody needs protoc. The crate depends on
//! no other of rpcplugin's, and generated code needs `tonic`, `tonic-prost` and `prost` only.
//!
//! # Invariants
//! - Code whose limits could not be taken away is an error of the build, never a surprise at run time.

mod build;
mod error;
mod unlimited;

pub use build::{Build, compile};
pub use error::BuildError;
pub use unlimited::{NotUnlimited, unlimited};
