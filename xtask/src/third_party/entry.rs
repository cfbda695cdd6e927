//! What an entry of the lists says about a third-party program: where it comes from, and how it is looked at.

/// A program that is built and driven.
pub(super) struct Entry {
    /// The name for `--only`, for the page, and for files in `target/third-party`.
    pub(super) name: &'static str,
    pub(super) source: Source,
    pub(super) role: Role,
}

/// Where a program comes from.
pub(super) enum Source {
    /// A package `main` from the Go module proxy.
    Go {
        /// The path that the `go.mod` of the module declares.
        module: &'static str,
        version: &'static str,
        /// The path of the package below the module, or nothing.
        package: &'static str,
        /// The module whose sources describe the services, or nothing for the module itself.
        described_in: &'static str,
        /// Modules to replace, as the module itself replaces them for its own build: `PATH=PATH@VERSION`.
        replace: &'static [&'static str],
    },
    /// A file of the first of these Debian packages. They are unpacked and not installed.
    Debian { packages: &'static [&'static str], file: &'static str },
}

/// What a program is.
pub(super) enum Role {
    /// A plugin, which the program `rpcplugin` launches.
    Plugin {
        /// Options of `rpcplugin` that name cookie and preset.
        options: &'static [&'static str],
        /// Options of `rpcplugin call` that describe the services, for a plugin without reflection. `{source}` is the directory of
        /// the sources.
        schema: &'static [&'static str],
        /// Arguments of the plugin.
        arguments: &'static [&'static str],
        speaks: Speaks,
    },
    /// A host. It is looked at in the scenarios of `hosts.rs`.
    Host,
}

/// The protocol of a plugin.
pub(super) enum Speaks {
    /// gRPC: the calls are made, one after the other.
    Grpc(&'static [Call]),
    /// Another protocol: `rpcplugin` has to refuse it with this code.
    Refused(&'static str),
}

/// A call with `rpcplugin call`, or several of one launch.
pub(super) struct Call {
    /// The method, or the names of all methods of a script.
    pub(super) method: &'static str,
    /// The request in JSON, or the script.
    pub(super) request: &'static str,
    pub(super) is_script: bool,
    /// Options of this call only.
    pub(super) options: &'static [&'static str],
    /// Services for the plugin to call back, and the responses of their methods in JSON.
    pub(super) serve: &'static [(&'static str, &'static str)],
    /// A text that the response has to contain. If a call has to fail, a text of the error.
    pub(super) response: &'static str,
    /// Whether the call has to fail: the plugin answers with an error, because there is no account or no server.
    pub(super) fails: bool,
}

impl Call {
    /// A call that succeeds.
    pub(super) const fn new(method: &'static str, request: &'static str, response: &'static str) -> Self {
        Self { method, request, is_script: false, options: &[], serve: &[], response, fails: false }
    }

    /// A call that the plugin answers with an error that has this text.
    pub(super) const fn failing(method: &'static str, request: &'static str, response: &'static str) -> Self {
        Self { fails: true, ..Self::new(method, request, response) }
    }

    /// A script, with the names of its methods.
    pub(super) const fn script(methods: &'static str, script: &'static str, response: &'static str) -> Self {
        Self { is_script: true, ..Self::new(methods, script, response) }
    }

    /// The same call with options.
    pub(super) const fn with(self, options: &'static [&'static str]) -> Self {
        Self { options, ..self }
    }

    /// The same call, with services for the plugin to call back.
    pub(super) const fn serving(self, serve: &'static [(&'static str, &'static str)]) -> Self {
        Self { serve, ..self }
    }
}
