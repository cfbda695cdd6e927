//! The arguments that describe a plugin and its host. Most commands share them.

use std::{
    ffi::{OsStr, OsString},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use clap::{ArgGroup, Args, builder::TypedValueParser as _};
use rpcplugin::{
    AppVersion, Command, Host, MagicCookie, Versions,
    config::HostTls,
    handshake::{HandshakeLineError, HandshakeLineFault, variable},
    host::{LaunchFault, Stdin},
};

use super::{
    presets::{self, Preset},
    refused_version::without_zero,
    tls_files::TlsFiles,
};
use crate::{
    error::{CommandError, UsageError},
    raw_host::{OwnTls, PluginUnderTest},
    runner::{AnyRunner, InImage, RunnerChoice, RunnerOption},
    sandbox::{SandboxArgs, Strace, Traced},
    trust::{self, LOCK_FILE, LockFile, Permit, Refusal},
    ui::duration,
};

/// A plugin, and the host that launches it.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Launch options")]
#[command(group = ArgGroup::new("plugin").args(["program", "runner"]).required(true).multiple(true))]
pub(crate) struct LaunchArgs {
    /// The magic cookie that the plugin expects.
    #[arg(long, value_name = "KEY=VALUE", env = "RPCPLUGIN_COOKIE", value_parser = cookie)]
    pub(crate) cookie: Option<MagicCookie>,
    /// Sets the cookie, versions and variables of a known ecosystem's hosts. Overrides --cookie. By default the name of the
    /// program selects the preset.
    #[arg(long, value_name = "NAME",
        value_parser = clap::builder::PossibleValuesParser::new(presets::names()).map(|name| presets::find(&name)))]
    pub(crate) preset: Option<&'static Preset>,
    /// The versions of the application's protocol to offer, such as 1,5,6 or 1-6. By default the versions of the preset, or
    /// 0 to 7.
    #[arg(long, value_name = "LIST", value_parser = versions)]
    pub(crate) versions: Option<Versions>,
    /// Disables AutoMTLS. Every process of the same user can then call the plugin.
    #[arg(long)]
    pub(crate) no_mtls: bool,
    #[command(flatten)]
    pub(crate) tls: TlsFiles,
    /// Requests multiplexing: all connections share one socket.
    #[arg(long)]
    pub(crate) mux: bool,
    /// Sets a variable in the plugin's environment.
    #[arg(long, value_name = "KEY=VALUE", value_parser = variable)]
    pub(crate) env: Vec<(String, String)>,
    /// Starts the plugin in this directory.
    #[arg(long, value_name = "PATH", conflicts_with = "runner")]
    pub(crate) dir: Option<PathBuf>,
    /// Starts the plugin in a container or a pod: docker:IMAGE or kube:IMAGE. PLUGIN and ARGS are then the program in the image and its
    /// arguments, by default those of the image.
    #[arg(long, value_name = "RUNNER", conflicts_with = "locked")]
    pub(crate) runner: Option<RunnerChoice>,
    /// Sets an option of the runner, such as memory=64m, pull=never or namespace=plugins.
    #[arg(long, value_name = "KEY=VALUE", requires = "runner")]
    runner_option: Vec<RunnerOption>,
    /// Launches the plugin only if the lock file has it, its file is unchanged, and it gets no more than was granted. Without
    /// --sandbox it gets what was granted. FILE is ./rpcplugin.lock by default.
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true, default_missing_value = LOCK_FILE)]
    locked: Option<PathBuf>,
    #[command(flatten)]
    sandbox: SandboxArgs,
    /// The timeout of the launch, such as 30s or 500ms.
    #[arg(long, value_name = "TIME", default_value = "1m", value_parser = duration::limit)]
    pub(crate) timeout: Duration,
    /// Shows complete fingerprints and backtraces.
    #[arg(long)]
    pub(crate) full: bool,
    /// The program of the plugin.
    #[arg(value_name = "PLUGIN")]
    program: Option<PathBuf>,
    /// The arguments of the plugin. Put `--` before arguments that look like flags of this program.
    #[arg(value_name = "ARGS", trailing_var_arg = true, allow_hyphen_values = true)]
    pub(crate) args: Vec<OsString>,
    /// Whether the plugin has refused version 0, which this program offers by default.
    #[arg(skip)]
    pub(super) refused_zero: Arc<AtomicBool>,
    /// Traces the confined plugin.
    #[arg(skip)]
    pub(crate) strace: Option<Arc<Strace>>,
}

impl LaunchArgs {
    /// Returns the host that launches the plugin.
    pub(crate) fn host(&self) -> Host {
        Host::new(self.magic_cookie(), self.offered_versions()).configure(|config| {
            config.tls = if self.no_mtls { HostTls::Plaintext } else { HostTls::AUTO };
            self.tls.apply(config);
            config.multiplex = self.mux;
            config.launch_timeout = self.timeout;
            // Each command prints the log records that belong to its output.
            config.print_logs = false;
        })
    }

    /// Returns the runner that starts the plugin: that of `--runner`, or the plugin's command with an empty stdin.
    ///
    /// # Errors
    /// A runner that is not compiled in, an invalid option of a runner, and those of [`permit`](Self::permit).
    pub(crate) fn runner(&self) -> Result<AnyRunner, CommandError> {
        let versions = self.refused_zero.load(Ordering::Relaxed).then(|| without_zero().to_string());
        let versions = versions.as_deref().map(|versions| (variable::PROTOCOL_VERSIONS, versions));
        let env = versions.into_iter().chain(self.variables());
        if let Some(choice) = &self.runner {
            let env = env.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
            return Ok(self.remote(choice, env)?);
        }
        self.child(env)
    }

    /// Returns the command of a plugin that is a child process, with these variables beside those of the handshake.
    fn child<'e>(&self, env: impl Iterator<Item = (&'e str, &'e str)>) -> Result<AnyRunner, CommandError> {
        let permit = self.permit()?;
        let (program, args) = (self.program().to_owned(), self.args.clone());
        let mut command = match (&permit.sandbox, &self.strace) {
            (Some(sandbox), Some(strace)) => {
                let Traced { program, args, sandbox } = strace.around(&program, &args, sandbox);
                Command::new(program).args(args).sandbox(sandbox)
            }
            (Some(sandbox), None) => Command::new(program).args(args).sandbox(sandbox.clone()),
            (None, _) => Command::new(program).args(args),
        };
        if let Some(checksum) = permit.checksum {
            command = command.checksum(checksum);
        }
        command = command.stdin(Stdin::Null);
        for (name, value) in env {
            command = command.env(name, value);
        }
        if let Some(dir) = &self.dir {
            command = command.current_dir(dir);
        }
        Ok(AnyRunner::Child(Box::new(command)))
    }

    /// Returns what the lock file and the options let the plugin do.
    ///
    /// # Errors
    /// With `--locked`: an unusable lock file, and a plugin that it does not let start.
    pub(crate) fn permit(&self) -> Result<Permit, CommandError> {
        let sandbox = self.sandbox.sandbox();
        match &self.locked {
            None => Ok(Permit { checksum: None, sandbox }),
            Some(file) => LockFile::read(file)?.permit(self.program(), sandbox.as_ref()),
        }
    }

    /// Whether `--locked` is given.
    pub(crate) fn is_locked(&self) -> bool {
        self.locked.is_some()
    }

    /// Returns the refusal of a plugin whose file is not the trusted one. `None` for every other fault.
    pub(crate) fn changed(&self, fault: &LaunchFault) -> Option<Refusal> {
        trust::changed(fault, self.locked.as_deref()?)
    }

    /// Returns the runner of `--runner`, with these variables beside those of the handshake.
    fn remote(&self, choice: &RunnerChoice, env: Vec<(String, String)>) -> Result<AnyRunner, UsageError> {
        let text = |word: &OsStr| {
            let help = "give the program and its arguments in UTF-8";
            let invalid = || UsageError::new(format!("{} is not UTF-8", word.display()), help);
            word.to_str().map(str::to_owned).ok_or_else(invalid)
        };
        let inside = InImage {
            program: self.program.as_ref().map(|program| text(program.as_os_str())).transpose()?,
            args: self.args.iter().map(|arg| text(arg)).collect::<Result<_, _>>()?,
            env,
            sandbox: self.sandbox.sandbox(),
        };
        choice.runner(inside, &self.runner_option)
    }

    /// Returns the program of the plugin. With `--runner` the program in the image, or the name of the image.
    pub(crate) fn program(&self) -> &Path {
        match (&self.program, &self.runner) {
            (Some(program), _) => program,
            (None, Some(choice)) => Path::new(choice.name()),
            // The parser requires one of both.
            (None, None) => Path::new(""),
        }
    }

    /// Returns the plugin for a host without the host library.
    ///
    /// # Errors
    /// [`TlsFilesError`](super::TlsFilesError), and those of [`runner`](Self::runner).
    pub(crate) fn under_test(&self) -> Result<PluginUnderTest, CommandError> {
        let program = self.program();
        let is_name =
            program.components().count() == 1 && !program.as_os_str().as_encoded_bytes().contains(&b'/');
        // `--dir` would change the meaning of a relative path.
        let absolute = if is_name { None } else { std::path::absolute(program).ok() };
        // Each start has its own variables.
        let runner = match &self.runner {
            Some(choice) => Some(self.remote(choice, Vec::new())?),
            None if self.locked.is_some() || self.sandbox.sandbox().is_some() => {
                Some(self.child([].into_iter())?)
            }
            None => None,
        };
        Ok(PluginUnderTest {
            program: absolute.unwrap_or_else(|| program.to_owned()),
            args: self.args.clone(),
            cookie: self.magic_cookie(),
            further_cookies: self.preset().map_or(&[], Preset::further_cookies),
            any_cookie_value: self.preset().is_some_and(|preset| preset.any_value),
            versions: self.offered_versions(),
            env: self.variables().map(|(name, value)| (name.into(), value.into())).collect(),
            dir: self.dir.clone(),
            runner,
            start_timeout: self.timeout,
            tls: self.tls.security()?.map_or(OwnTls::None, OwnTls::Given),
        })
    }

    /// Returns the variables of the plugin's environment: those of the preset, then those of `--env`.
    fn variables(&self) -> impl Iterator<Item = (&str, &str)> {
        let of_preset = self.preset().into_iter();
        let of_preset =
            of_preset.flat_map(|preset| preset.further_cookies().iter().chain(preset.env).copied());
        of_preset.chain(self.env.iter().map(|(name, value)| (name.as_str(), value.as_str())))
    }

    /// Checks that the plugin's ecosystem speaks this protocol.
    pub(crate) fn is_supported(&self) -> Result<(), HandshakeLineFault> {
        if self.preset().is_some_and(|preset| preset.refused) {
            Err(HandshakeLineFault::Packer)
        } else {
            Ok(())
        }
    }

    /// Returns the preset of `--preset`, or the preset that matches the program's name.
    pub(crate) fn preset(&self) -> Option<&'static Preset> {
        // `--preset` overrides the cookie, which may come from the environment.
        self.preset.or_else(|| match &self.cookie {
            Some(_) => None,
            None => presets::of_program(self.program()),
        })
    }

    /// Returns the cookie of the preset or of `--cookie`. Otherwise it is a cookie that no plugin expects: the plugin then reports that
    /// its cookie is missing.
    pub(crate) fn magic_cookie(&self) -> MagicCookie {
        match (self.preset(), &self.cookie) {
            (Some(preset), _) => preset.cookie(),
            (None, Some(cookie)) => cookie.clone(),
            (None, None) => MagicCookie::new("RPCPLUGIN_WITHOUT_COOKIE", "1").expect("a key and a value"),
        }
    }

    /// Whether `--cookie` or a preset sets the cookie.
    pub(crate) fn has_cookie(&self) -> bool {
        self.cookie.is_some() || self.preset().is_some()
    }

    /// Returns the versions to offer.
    pub(crate) fn offered_versions(&self) -> Versions {
        let of_preset = || self.preset().map(Preset::versions);
        // Plugins made with pyvider refuse a longer list.
        let any = || Versions::new(0_u32..=7).expect("there are some");
        self.versions.clone().or_else(of_preset).unwrap_or_else(any)
    }

    /// Whether the offered versions are the default.
    pub(crate) fn guesses_versions(&self) -> bool {
        self.versions.is_none() && self.preset().is_none()
    }

    /// Returns the help for a plugin that selected a version that was not offered.
    pub(crate) fn help_for_version(&self, spoken: AppVersion) -> String {
        let why = match (&self.versions, self.preset()) {
            (Some(given), _) => format!("--versions {given} does not include it"),
            (None, Some(preset)) => format!("the hosts of {} offer {}", preset.name, preset.versions()),
            (None, None) => "the default is 0 to 7".to_owned(),
        };
        format!("{why}; offer it with --versions {spoken}")
    }

    /// Returns the help for a handshake line that is not for gRPC.
    pub(crate) fn help_for_line(&self, error: &HandshakeLineError) -> String {
        let help = miette::Diagnostic::help(error).map(|help| help.to_string()).unwrap_or_default();
        match (&error.fault, &self.versions) {
            (HandshakeLineFault::NetRpc, Some(given)) => {
                format!(
                    "{help}; if it serves versions other than {given} over gRPC, offer them with --versions"
                )
            }
            (HandshakeLineFault::NetRpc, None) => {
                format!(
                    "{help}; if it serves an older version over gRPC, offer only that version with --versions"
                )
            }
            _ => help,
        }
    }

    /// Returns the file name of the program.
    pub(crate) fn name(&self) -> String {
        let program = self.program();
        let name = program.file_name().unwrap_or(program.as_os_str());
        Path::new(name).display().to_string()
    }
}

fn cookie(text: &str) -> Result<MagicCookie, String> {
    let (key, value) = variable(text)?;
    MagicCookie::new(key, value).map_err(|error| error.to_string())
}

fn variable(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("expected KEY=VALUE")?;
    match name {
        "" => Err("the key before the `=` is empty".to_owned()),
        name => Ok((name.to_owned(), value.to_owned())),
    }
}

/// Parses lists and ranges: `1,5,6`, `1-6`, `0,4-6`.
fn versions(text: &str) -> Result<Versions, String> {
    let number = |text: &str| text.trim().parse::<u32>().map_err(|_| format!("{text:?} is not a version"));
    let mut all = Vec::new();
    for part in text.split(',') {
        match part.split_once('-') {
            None => all.push(number(part)?),
            Some((from, to)) => {
                let (from, to) = (number(from)?, number(to)?);
                if from > to || to - from > 1000 {
                    return Err(format!("{part:?} is not a range of versions"));
                }
                all.extend(from..=to);
            }
        }
    }
    Versions::new(all).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_lists_and_ranges_of_versions() {
        assert_eq!(versions("1, 5,6").unwrap().to_string(), "6,5,1");
        assert_eq!(versions("4-6,1").unwrap().to_string(), "6,5,4,1");
        for wrong in ["", "a", "3-1", "1-", "0-4000000000"] {
            assert!(versions(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_preset_overrides_a_cookie_and_both_override_the_name() {
        use clap::{Command, FromArgMatches as _};
        let key = |args: &[&str]| {
            let all = ["test"].iter().chain(args).chain(&["terraform-provider-x"]);
            let matches = LaunchArgs::augment_args(Command::new("test")).get_matches_from(all);
            LaunchArgs::from_arg_matches(&matches).unwrap().magic_cookie().key().to_owned()
        };
        assert_eq!(key(&[]), "TF_PLUGIN_MAGIC_COOKIE");
        assert_eq!(key(&["--cookie", "A=b"]), "A");
        assert_eq!(key(&["--cookie", "A=b", "--preset", "nomad"]), "NOMAD_PLUGIN_MAGIC_COOKIE");
    }

    #[test]
    fn reads_cookies() {
        assert_eq!(cookie("KEY=a=b").unwrap().value(), "a=b");
        assert!(cookie("KEY").is_err() && cookie("=x").is_err() && cookie("KEY=").is_err());
    }
}
