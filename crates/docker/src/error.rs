//! The error of a container that could not be started.

use std::{error::Error, io, path::PathBuf, time::Duration};

use miette::Diagnostic;

/// A container could not be started, or the engine could not be used.
///
/// A launch reports it as the source of [`StartFault::Runner`](rpcplugin_client::StartFault::Runner).
#[derive(Debug, thiserror::Error, Diagnostic)]
#[non_exhaustive]
pub enum DockerError {
    /// The address of the engine has a form that this library does not know.
    #[error("{address:?} is not an address of an engine")]
    #[diagnostic(
        code(rpcplugin::docker::invalid_address),
        help("set `engine` or DOCKER_HOST to unix:///PATH or tcp://HOST:PORT")
    )]
    InvalidAddress {
        /// The address.
        address: String,
    },
    /// No address of an engine is set, and none of the usual sockets exists.
    #[error("no container engine was found: none of {} exists", tried.join(", "))]
    #[diagnostic(
        code(rpcplugin::docker::no_engine),
        help("start Docker, or `podman system service`; or set DOCKER_HOST to the engine's socket")
    )]
    NoEngine {
        /// The sockets that do not exist.
        tried: Vec<String>,
    },
    /// Nothing answers at the address of the engine.
    #[error("the container engine at {address} cannot be reached")]
    #[diagnostic(
        code(rpcplugin::docker::engine_unreachable),
        help("check that the engine runs and that DOCKER_HOST names its socket")
    )]
    Unreachable {
        /// The address.
        address: String,
        /// The error of the operating system.
        source: io::Error,
    },
    /// This user may not use the socket of the engine.
    #[error("this user may not use the container engine at {address}")]
    #[diagnostic(
        code(rpcplugin::docker::engine_denied),
        help(
            "run the host as a user with access to the socket, or use an engine without root; access to the socket of an \
             engine that runs as root is as good as root"
        )
    )]
    Denied {
        /// The address.
        address: String,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The engine did not answer a request in time.
    #[error("the container engine did not {action} within {} s", timeout.as_secs_f32())]
    #[diagnostic(
        code(rpcplugin::docker::engine_timeout),
        help("check the load and the log of the engine, and try again")
    )]
    Timeout {
        /// What was requested, for example `create the container`.
        action: &'static str,
        /// The time that it had.
        timeout: Duration,
    },
    /// The engine refused a request.
    #[error("the container engine did not {action} (HTTP status {status}): {message}")]
    #[diagnostic(
        code(rpcplugin::docker::engine_refused),
        help("read the message of the engine; its log may say more")
    )]
    Refused {
        /// What was requested.
        action: &'static str,
        /// The HTTP status.
        status: u16,
        /// The message of the engine.
        message: String,
    },
    /// The connection to the engine broke, or its answer cannot be read.
    #[error("the answer of the container engine broke off, or cannot be read: it was asked to {action}")]
    #[diagnostic(
        code(rpcplugin::docker::engine_broken),
        help("check whether the engine was restarted, and try again")
    )]
    Broken {
        /// What was requested.
        action: &'static str,
        /// The cause.
        source: Box<dyn Error + Send + Sync>,
    },
    /// A name, a digest or a path of the container has a form that no engine accepts.
    #[error("{value:?} is not {expected}")]
    #[diagnostic(code(rpcplugin::docker::invalid_option), help("correct the option of the container"))]
    InvalidOption {
        /// The value.
        value: String,
        /// What it should be.
        expected: &'static str,
    },
    /// The engine does not have the image.
    #[error("the container engine has no image {image}")]
    #[diagnostic(
        code(rpcplugin::docker::image_missing),
        help("pull or load the image, or set `pull` to `Pull::IfMissing`")
    )]
    ImageMissing {
        /// The image.
        image: String,
    },
    /// The image could not be fetched from its registry.
    #[error("the image {image} cannot be pulled: {message}")]
    #[diagnostic(
        code(rpcplugin::docker::pull_failed),
        help("check the name of the image, the network, and `credentials` if the registry asks for them")
    )]
    PullFailed {
        /// The image.
        image: String,
        /// The message of the engine.
        message: String,
    },
    /// The image is not the one that the digest names.
    #[error("the image {image} does not have the digest {expected}: it has {}", found.join(", "))]
    #[diagnostic(
        code(rpcplugin::docker::wrong_digest),
        help(
            "pull the image that was meant, or correct `digest`; do not run an image that was changed without your doing"
        )
    )]
    WrongDigest {
        /// The image.
        image: String,
        /// The digest that the image must have.
        expected: String,
        /// The digests that it has: that of the image, and those of its registries.
        found: Vec<String>,
    },
    /// The engine does not know the runtime.
    #[error("the container engine has no runtime {runtime:?}: it has {}", known.join(", "))]
    #[diagnostic(
        code(rpcplugin::docker::runtime_missing),
        help("install the runtime and enter it into the settings of the engine, or correct `runtime`")
    )]
    RuntimeMissing {
        /// The runtime.
        runtime: String,
        /// The runtimes that the engine knows.
        known: Vec<String>,
    },
    /// The engine made the container with another runtime. Podman takes no runtime over this API.
    #[error("the container engine ignores the runtime {runtime:?}: the container would run with {used:?}")]
    #[diagnostic(
        code(rpcplugin::docker::runtime_ignored),
        help(
            "make the runtime the default of the engine: `runtime` in the section [engine] of containers.conf for Podman"
        )
    )]
    RuntimeIgnored {
        /// The runtime.
        runtime: String,
        /// The runtime that the engine uses.
        used: String,
    },
    /// The user in the container may not create sockets in the directory.
    #[error("the plugin would run as {user} in the container, and may not create sockets in {}: {reason}", dir.display())]
    #[diagnostic(
        code(rpcplugin::docker::socket_dir),
        help(
            "leave `user` out, or set PLUGIN_UNIX_SOCKET_GROUP to a group of the host, which the container then joins"
        )
    )]
    SocketDir {
        /// The user in the container.
        user: String,
        /// The directory on the host.
        dir: PathBuf,
        /// The reason.
        reason: &'static str,
    },
    /// The engine made the container and could not start it.
    #[error("the container of the image {image} cannot be started: {message}")]
    #[diagnostic(
        code(rpcplugin::docker::not_started),
        help(
            "read the message of the engine: the image may lack the program, or the engine may not see a directory because it \
             runs on another machine"
        )
    )]
    NotStarted {
        /// The image.
        image: String,
        /// The message of the engine.
        message: String,
    },
}
