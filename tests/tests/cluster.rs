//! Plugins in pods of a real Kubernetes: the runner of rpcplugin-kube, its manifests, and its example `fleet`.
//!
//! `cargo xtask cluster` starts a node, loads the images and runs these tests with `KUBECONFIG`, with `kubectl` in `PATH`, and with
//! the path of the example in `RPCPLUGIN_FLEET`. The plugins are those of the conformance kit.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::disallowed_methods, reason = "xtask passes the path of a program in the environment")]

#[path = "cluster/calls.rs"]
mod calls;
#[path = "cluster/endings.rs"]
mod endings;
#[path = "cluster/faults.rs"]
mod faults;
#[path = "cluster/inside.rs"]
mod inside;
#[path = "cluster/orphans.rs"]
mod orphans;
#[path = "cluster/supervision.rs"]
mod supervision;
#[path = "cluster/support.rs"]
mod support;
