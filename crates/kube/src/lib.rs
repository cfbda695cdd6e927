//! A runner that starts each plugin in a Kubernetes pod of its own.
//!
//! [`Pod`] is a [`Runner`](rpcplugin_client::Runner): `Host::launch_with` and `Host::supervise_with` of `rpcplugin` take it. The host creates
//! the pod, reads the handshake line from the pod's log, connects to the plugin, and deletes the pod at the end. Mutual TLS works as for child
//! processes: only public certificates travel, in the variables of the pod and in its log.
//!
//! A pod that cannot start is a [`KubeError`] at once: an image that cannot be pulled, a quota, a missing permission. The end of a plugin has
//! its cause, such as a memory limit or an eviction, in `ExitReason::Reported`.
//!
//! The guide's page on [Kubernetes](https://github.com/rpcplugin/rpcplugin/blob/main/docs/guide/kubernetes.md) has the Role and the
//! NetworkPolicy that a host needs.
//!
//! # Features
//!
//! | feature | default | effect |
//! |---|---|---|
//! | `ring` | yes | the cryptography of ring |
//! | `aws-lc-rs` | | the cryptography of AWS-LC. Used if both are enabled |
//! | `v1_35` | yes | the Kubernetes version of k8s-openapi's types, of which a program has one. A program that enables another one turns the default features off |

#![cfg_attr(docsrs, feature(doc_cfg))]

mod addresses;
mod cluster;
mod error;
mod events;
mod follow;
mod forward;
mod host_id;
mod logs;
mod manifest;
mod orphans;
mod os;
mod pod;
mod pod_ref;
mod process;
mod settings;
mod status;
mod text;

pub use error::{Action, KubeError};
pub use k8s_openapi;
pub use kube;
pub use pod::Pod;
pub use process::PodProcess;
pub use settings::{Bridge, Limits, Owner, Pull, Reach};
