//! The command of a plugin: program, arguments, environment.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    fmt,
    path::{Path, PathBuf},
};

use rpcplugin_config::EnvPolicy;
use rpcplugin_core::semver::VersionReq;

#[cfg(feature = "sandbox")]
use rpcplugin_sandbox::Sandbox;

use crate::{program::checksum::Checksum, requirements::Requirements};

/// The program of a plugin with its arguments and its environment.
///
/// ```
/// use rpcplugin_client::Command;
/// use rpcplugin_config::EnvPolicy;
///
/// let command = Command::new("./kv-plugin").arg("--verbose").env("KV_DIR", "/var/lib/kv");
/// let careful = command.environment(EnvPolicy::Only(vec!["PATH".to_owned()]));
/// ```
///
/// `Command` is the [`Runner`](crate::Runner) of ordinary plugins. `Debug` does not show the values of variables.
///
/// The started process has to be the plugin, or has to run as long as the plugin: a script ends with `exec
/// ./kv-plugin`, or waits for it. When the started process exits, its process group is killed, including anything
/// that it left in the background, because the host could neither stop nor wait for such a process. On Windows a job has
/// the part of the group: all that the plugin has started is in it.
///
/// # Protocol
/// Differs: a Go host keeps a plugin that a script has left in the background, for as long as the plugin holds its pipes.
#[derive(Clone)]
pub struct Command {
    pub(crate) program: PathBuf,
    pub(crate) args: Vec<OsString>,
    pub(crate) dir: Option<PathBuf>,
    pub(crate) env: BTreeMap<OsString, Option<OsString>>,
    pub(crate) environment: Option<EnvPolicy>,
    pub(crate) stdin: Stdin,
    pub(crate) own_group: bool,
    pub(crate) checksum: Option<Checksum>,
    pub(crate) requirements: Requirements,
    #[cfg(feature = "sandbox")]
    pub(crate) sandbox: Option<Sandbox>,
}

/// The standard input of a plugin.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stdin {
    /// The host's own standard input. The default, as in go-plugin. A plugin is a background process of the terminal:
    /// the system stops it when it reads from the terminal or asks on `/dev/tty`. See
    /// [`Command::share_process_group`].
    #[default]
    Inherit,
    /// An empty input.
    Null,
    /// A pipe, which the host writes into with [`Plugin::take_stdin`](crate::Plugin::take_stdin).
    Piped,
}

impl Command {
    /// Makes a command that starts `program`. A path is relative to the host's working directory, and a bare name is
    /// looked up in the host's `PATH`. On Windows a name without an extension gets one of `PATHEXT`, such as `.exe`.
    #[must_use]
    pub fn new(program: impl Into<PathBuf>) -> Self {
        Self {
            program: program.into(),
            args: Vec::new(),
            dir: None,
            env: BTreeMap::new(),
            environment: None,
            stdin: Stdin::default(),
            own_group: true,
            checksum: None,
            requirements: Requirements::new(),
            #[cfg(feature = "sandbox")]
            sandbox: None,
        }
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<A: Into<OsString>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Sets a variable of the plugin's environment. It replaces an inherited variable, and one of the handshake.
    #[must_use]
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.env.insert(name.into(), Some(value.into()));
        self
    }

    /// Removes a variable of the host's environment from the plugin's.
    #[must_use]
    pub fn env_remove(mut self, name: impl Into<OsString>) -> Self {
        self.env.insert(name.into(), None);
        self
    }

    /// Chooses how much of the host's environment the plugin inherits. Takes the place of
    /// [the configuration](rpcplugin_config::HostConfig::inherit_env).
    ///
    /// On Windows names are the same in any case, and every plugin inherits `SystemRoot`, without which many programs do
    /// not start.
    #[must_use]
    pub fn environment(mut self, environment: EnvPolicy) -> Self {
        self.environment = Some(environment);
        self
    }

    /// Verifies the checksum of the program's file before the start.
    ///
    /// On Linux the file that was verified is the file that is executed, even if another file is put at its path
    /// meanwhile. On Windows the file can be neither written nor replaced until it is executed, and has to be an `.exe`.
    /// On other systems the path is executed a moment after its file was read. Except on Windows, only trusted
    /// users may be able to write into the file itself. Libraries, the interpreter of a script and what a script
    /// imports are not verified. A verified script inherits its open file, and on Linux sees itself as
    /// `/proc/self/fd/N`. Other processes that the host starts in the same moment may inherit the file too.
    #[must_use]
    pub fn checksum(mut self, checksum: Checksum) -> Self {
        self.checksum = Some(checksum);
        self
    }

    /// Requires a version of the plugin, which the plugin reports in its [metadata](rpcplugin_core::PluginMetadata). The launch fails
    /// with [`RequirementFault`](crate::RequirementFault) if the plugin has another version or reports none. A supervised plugin is
    /// checked at every start.
    ///
    /// ```
    /// # use rpcplugin_client::Command;
    /// # use rpcplugin_core::semver::VersionReq;
    /// let command = Command::new("./weather").require_version(VersionReq::parse(">=2, <3")?);
    /// # Ok::<(), rpcplugin_core::semver::Error>(())
    /// ```
    ///
    /// [`Requirements::version`] says which pre-releases are accepted.
    #[must_use]
    pub fn require_version(mut self, version: VersionReq) -> Self {
        self.requirements = self.requirements.version(version);
        self
    }

    /// Requires a capability of the plugin, as [`require_version`](Self::require_version) requires a version.
    #[must_use]
    pub fn require_capability(mut self, capability: impl Into<String>) -> Self {
        self.requirements = self.requirements.capability(capability);
        self
    }

    /// Confines the plugin, and all processes that it starts: the kernel refuses what the [`Sandbox`] does not allow.
    ///
    /// The plugin inherits the variables that the sandbox names and no others, whatever
    /// [`environment`](Self::environment) says. Its standard input is empty unless it is a [pipe](Stdin::Piped).
    /// `TMPDIR` names a private directory, which is removed with the directory of the plugin's sockets. A supervised plugin is
    /// confined at every start. The watchdog of the plugin is not confined.
    ///
    /// [`Plugin::confinement`](crate::Plugin::confinement) reports what is enforced.
    ///
    /// ```
    /// # use rpcplugin_client::Command;
    /// use rpcplugin_sandbox::{Limits, Sandbox};
    ///
    /// let limits = Limits::new().memory(256 << 20);
    /// let command = Command::new("./formatter").sandbox(Sandbox::new().read("/srv/text").limits(limits));
    /// ```
    ///
    /// # Errors
    /// The launch fails with [`LaunchFault::Sandbox`](crate::LaunchFault::Sandbox) if this system cannot enforce the sandbox.
    #[cfg(feature = "sandbox")]
    #[must_use]
    pub fn sandbox(mut self, sandbox: Sandbox) -> Self {
        self.sandbox = Some(sandbox);
        self
    }

    /// The sandbox, if the plugin is confined.
    #[cfg(feature = "sandbox")]
    #[must_use]
    pub fn sandboxed(&self) -> Option<&Sandbox> {
        self.sandbox.as_ref()
    }

    /// Starts the plugin in this directory instead of the host's.
    #[must_use]
    pub fn current_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.dir = Some(dir.into());
        self
    }

    /// Chooses what the plugin reads from its standard input.
    #[must_use]
    pub fn stdin(mut self, stdin: Stdin) -> Self {
        self.stdin = stdin;
        self
    }

    /// Leaves the plugin in the host's process group, as go-plugin does.
    ///
    /// By default a plugin leads a group of its own. Ctrl-C in the terminal then reaches only the host, and what a
    /// plugin leaves in its group is killed when the plugin exits. Such a plugin cannot read from the terminal, and
    /// `setsid()` in it fails with EPERM, as for every leader of a group.
    ///
    /// On Windows such a plugin is not put into a job: what it started is not ended with it, and it cannot be asked to end
    /// by Ctrl-Break.
    ///
    /// A plugin in the host's group does not [die with the host](rpcplugin_config::HostConfig::die_with_host), unless it
    /// watches the host by itself as plugins made with rpcplugin do.
    #[must_use]
    pub fn share_process_group(mut self) -> Self {
        self.own_group = false;
        self
    }

    /// The program.
    #[must_use]
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// The plugin's name in logs: the file name of the program.
    #[must_use]
    pub fn name(&self) -> String {
        name(&self.program)
    }
}

impl From<&str> for Command {
    fn from(program: &str) -> Self {
        Self::new(program)
    }
}

impl From<&Path> for Command {
    fn from(program: &Path) -> Self {
        Self::new(program)
    }
}

impl From<PathBuf> for Command {
    fn from(program: PathBuf) -> Self {
        Self::new(program)
    }
}

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut command = f.debug_struct("Command");
        command
            .field("program", &self.program)
            .field("args", &self.args)
            .field("dir", &self.dir)
            .field("env", &variable_names(self.env.iter().map(|(name, value)| (name.as_ref(), value))))
            .field("environment", &self.environment)
            .field("stdin", &self.stdin)
            .field("own_group", &self.own_group)
            .field("checksum", &self.checksum)
            .field("requirements", &self.requirements);
        #[cfg(feature = "sandbox")]
        command.field("sandbox", &self.sandbox);
        command.finish()
    }
}

/// The name of a program's plugin in logs.
pub(crate) fn name(program: &Path) -> String {
    program.file_name().unwrap_or(program.as_os_str()).to_string_lossy().into_owned()
}

/// The changes of an environment without the values, which may be secret: `+` before the name of a variable that is
/// set, `-` before the name of one that is removed.
pub(crate) fn variable_names<'v>(
    changes: impl IntoIterator<Item = (&'v OsStr, &'v Option<OsString>)>,
) -> Vec<String> {
    let sign = |value: &Option<OsString>| if value.is_some() { '+' } else { '-' };
    changes.into_iter().map(|(name, value)| format!("{}{}", sign(value), name.to_string_lossy())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_output_has_no_values_of_variables() {
        let command = Command::new("kv").env("TOKEN", "hunter2").env_remove("HOME");
        let text = format!("{command:?}");
        assert!(text.contains(r#"["-HOME", "+TOKEN"]"#) && !text.contains("hunter2"), "{text}");
    }
}
