//! Confines a plugin: a [`Sandbox`] says what the plugin may do, the kernel refuses everything else, and a [`Confinement`] reports
//! layer by layer what is enforced.
//!
//! On Linux a short-lived thread restricts itself with Landlock and a seccomp filter, and starts the plugin. The plugin and all
//! processes that it starts inherit the restrictions and cannot lift them. Neither a helper program nor code between fork and exec
//! is needed. Resource limits are set on the process right after its start.
//!
//! The crate is a part of `rpcplugin`, whose host applies a sandbox with `Command::sandbox`. It can be used alone, without a promise:
//! its API may change with any release. The stable names of its items are in `rpcplugin::sandbox`.
//!
//! A formatter reads one folder, and computes for a minute at most:
//!
//! ```
//! # use std::time::Duration;
//! # use rpcplugin_sandbox::{Limits, Sandbox};
//! let limits = Limits::new().memory(256 << 20).cpu_time(Duration::from_secs(60));
//! let formatter = Sandbox::new().read("/srv/text").limits(limits);
//! ```
//!
//! A client of a web service resolves names and connects to one port:
//!
//! ```
//! # use rpcplugin_sandbox::{Network, Sandbox, UnixSockets};
//! let client = Sandbox::new()
//!     .network(Network::none().connect([443]).udp())
//!     .unix_sockets(UnixSockets::Any)
//!     .environment(["LANG", "HTTPS_PROXY"]);
//! ```
//!
//! A Terraform provider reads its credentials, and serves callbacks of its host over sockets:
//!
//! ```
//! # use rpcplugin_sandbox::{Limits, Network, Sandbox, UnixSockets};
//! let provider = Sandbox::new()
//!     .read("/etc/cloud/credentials.json")
//!     .network(Network::none().connect([443]).udp())
//!     .unix_sockets(UnixSockets::Any)
//!     .environment(["TF_LOG", "CLOUD_PROJECT"])
//!     .limits(Limits::new().memory(1 << 30).open_files(1024));
//! ```
//!
//! Without a host of `rpcplugin`, a program starts like this:
//!
//! ```no_run
//! use rpcplugin_sandbox::{Network, Program, Sandbox};
//!
//! let sandbox = Sandbox::new().read("/srv/data").network(Network::none());
//! println!("{}", sandbox.check());
//!
//! let prepared = sandbox.prepare(&Program::new("/usr/local/bin/static-plugin"), "/run/kv".as_ref())?;
//! let child = prepared.spawn(|| std::process::Command::new("/usr/local/bin/static-plugin").spawn())??;
//! prepared.limit(child.id())?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![cfg_attr(docsrs, feature(doc_cfg))]

mod confinement;
mod denied;
mod error;
mod limits;
mod network;
mod os;
mod prepared;
mod program;
mod sandbox;
mod system_calls;
mod words;

pub use confinement::{Confinement, Layer, LayerState};
pub use denied::Denied;
pub use error::SandboxFault;
pub use limits::Limits;
pub use network::{Network, UnixSockets};
pub use prepared::{ControlGroup, Prepared};
pub use program::Program;
pub use sandbox::{Enforce, Sandbox};
pub use system_calls::SystemCalls;
