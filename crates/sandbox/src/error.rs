//! Faults of the sandbox.

use std::{fmt, io, path::PathBuf};

use miette::Diagnostic;

use crate::{confinement::Layer, denied::Denied};

/// A plugin cannot be confined as its sandbox asks, or ended because of its sandbox.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[non_exhaustive]
pub enum SandboxFault {
    /// This system cannot enforce all layers, and [`Enforce::Fully`](crate::Enforce::Fully) refuses to start the plugin.
    #[error("the sandbox cannot be enforced here: {}", Missing(.0))]
    #[diagnostic(
        code(rpcplugin::security::sandbox_unavailable),
        help(
            "use a kernel that has the named layers, take their restrictions out of the sandbox, or choose `Enforce::BestEffort` \
             to start the plugin without them"
        )
    )]
    Unavailable(Vec<(Layer, String)>),
    /// The place of the plugin has no counterpart for what the sandbox allows: an operating system other than Linux for the whole
    /// sandbox, a container for some of it.
    #[error("{place} has no counterpart for {what}")]
    #[diagnostic(
        code(rpcplugin::security::sandbox_unsupported),
        help(
            "run the plugin as a process on Linux, or take what is named out of the sandbox; on another operating system \
             `Enforce::BestEffort` starts the plugin without a sandbox"
        )
    )]
    Unsupported {
        /// Where the plugin would run, for example `a container`.
        place: &'static str,
        /// What the sandbox allows there, for example `the system calls debugging`.
        what: String,
    },
    /// A path of the sandbox does not exist, or cannot be opened.
    #[error("the sandbox allows {}, which cannot be opened", path.display())]
    #[diagnostic(
        code(rpcplugin::security::sandbox_path),
        help("make the file or the directory before the launch, or take the path out of the sandbox")
    )]
    Path {
        /// The path.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The kernel refused to set up a layer that it has.
    #[error("the layer {layer} of the sandbox cannot be set up")]
    #[diagnostic(
        code(rpcplugin::security::sandbox_failed),
        help(
            "check whether another sandbox around the host refuses it, such as the seccomp profile of a container"
        )
    )]
    Failed {
        /// The layer.
        layer: Layer,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The plugin ended because the sandbox refused something, as its last lines or its exit show.
    #[error("the sandbox denied the plugin {denied}: {line}")]
    #[diagnostic(
        code(rpcplugin::security::sandbox_denied),
        help("allow it in the sandbox of the command if the plugin needs it: {}", denied.advice())
    )]
    Denied {
        /// What was denied.
        denied: Denied,
        /// The plugin's words, or how it ended.
        line: String,
    },
}

/// Writes the missing layers with what each needs.
struct Missing<'m>(&'m [(Layer, String)]);

impl fmt::Display for Missing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, (layer, why)) in self.0.iter().enumerate() {
            write!(f, "{}{layer} ({why})", if n == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_fault_has_a_code_and_names_what_is_missing() {
        let missing = vec![(Layer::Tcp, "a".to_owned()), (Layer::Udp, "b".to_owned())];
        for (fault, code, text) in [
            (
                SandboxFault::Unsupported {
                    place: "a container",
                    what: "the system calls debugging".to_owned(),
                },
                "rpcplugin::security::sandbox_unsupported",
                "a container has no counterpart for the system calls debugging",
            ),
            (
                SandboxFault::Unavailable(missing),
                "rpcplugin::security::sandbox_unavailable",
                "tcp (a), udp (b)",
            ),
        ] {
            assert_eq!(fault.code().map(|code| code.to_string()).as_deref(), Some(code));
            assert!(fault.to_string().contains(text), "{fault}");
        }
    }
}
