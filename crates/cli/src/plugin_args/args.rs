//! Which plugin to launch, and as which host: the arguments that most commands share.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use clap::{Args, builder::TypedValueParser as _};
use rpcplugin::{
    AppVersion, Command, Host, MagicCookie, Stdin, Versions,
    config::HostTls,
    handshake::{HandshakeLineError, HandshakeLineFault, variable},
};

use super::{
    presets::{self, Preset},
    refused_version::without_zero,
    tls_files::{TlsFiles, TlsFilesError},
};
use crate::{
    raw_host::{OwnTls, PluginUnderTest},
    ui::duration,
};

/// A plugin, and the host that launches it.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Launch options")]
pub(crate) struct LaunchArgs {
    /// The magic cookie that the plugin expects from its host.
    #[arg(long, value_name = "KEY=VALUE", env = "RPCPLUGIN_COOKIE", value_parser = cookie)]
    pub(crate) cookie: Option<MagicCookie>,
    /// Sets what the hosts of a known ecosystem set: cookie, versions and variables, whatever cookie is given. Without it
    /// the program's name decides where it can.
    #[arg(long, value_name = "NAME",
        value_parser = clap::builder::PossibleValuesParser::new(presets::names()).map(|name| presets::find(&name)))]
    pub(crate) preset: Option<&'static Preset>,
    /// The versions of the application's protocol to offer, such as 1,5,6 or 1-6. By default those of the preset, or 0
    /// to 7.
    #[arg(long, value_name = "LIST", value_parser = versions)]
    pub(crate) versions: Option<Versions>,
    /// Offers no one-time certificate. Whatever runs as the same user can then talk to the plugin.
    #[arg(long)]
    pub(crate) no_mtls: bool,
    #[command(flatten)]
    pub(crate) tls: TlsFiles,
    /// Asks the plugin to carry all connections over one socket.
    #[arg(long)]
    pub(crate) mux: bool,
    /// Sets a variable in the plugin's environment.
    #[arg(long, value_name = "KEY=VALUE", value_parser = variable)]
    pub(crate) env: Vec<(String, String)>,
    /// Starts the plugin in this directory.
    #[arg(long, value_name = "PATH")]
    pub(crate) dir: Option<PathBuf>,
    /// How long the plugin may take to start, such as 30s or 500ms.
    #[arg(long, value_name = "TIME", default_value = "1m", value_parser = duration::limit)]
    pub(crate) timeout: Duration,
    /// Shows fingerprints and backtraces whole.
    #[arg(long)]
    pub(crate) full: bool,
    /// The plugin's program.
    #[arg(value_name = "PLUGIN")]
    pub(crate) program: PathBuf,
    /// The plugin's own arguments. Behind `--` they may look like those of this program.
    #[arg(value_name = "ARGS", trailing_var_arg = true, allow_hyphen_values = true)]
    pub(crate) args: Vec<OsString>,
    /// Whether the plugin has refused version 0, where that is a guess of this program.
    #[arg(skip)]
    pub(super) refused_zero: Arc<AtomicBool>,
}

impl LaunchArgs {
    /// The host that launches the plugin.
    pub(crate) fn host(&self) -> Host {
        Host::new(self.magic_cookie(), self.offered_versions()).configure(|config| {
            config.tls = if self.no_mtls { HostTls::Plaintext } else { HostTls::AUTO };
            self.tls.apply(config);
            config.multiplex = self.mux;
            config.launch_timeout = self.timeout;
            // Each command shows of the log what belongs to its own output.
            config.print_logs = false;
        })
    }

    /// The plugin's command. It reads nothing from this program's standard input.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(&self.program).args(&self.args).stdin(Stdin::Null);
        if self.refused_zero.load(Ordering::Relaxed) {
            command = command.env(variable::PROTOCOL_VERSIONS, without_zero().to_string());
        }
        for (name, value) in self.variables() {
            command = command.env(name, value);
        }
        match &self.dir {
            Some(dir) => command.current_dir(dir),
            None => command,
        }
    }

    /// The plugin, to be started without a host library.
    ///
    /// # Errors
    /// [`TlsFilesError`].
    pub(crate) fn subject(&self) -> Result<PluginUnderTest, TlsFilesError> {
        let bare = self.program.components().count() == 1
            && !self.program.as_os_str().as_encoded_bytes().contains(&b'/');
        // In another directory a relative path would mean another file.
        let program = if bare { None } else { std::path::absolute(&self.program).ok() };
        Ok(PluginUnderTest {
            program: program.unwrap_or_else(|| self.program.clone()),
            args: self.args.clone(),
            cookie: self.magic_cookie(),
            further_cookies: self.preset().map_or(&[], Preset::further_cookies),
            any_cookie_value: self.preset().is_some_and(|preset| preset.any_value),
            versions: self.offered_versions(),
            env: self.variables().map(|(name, value)| (name.into(), value.into())).collect(),
            dir: self.dir.clone(),
            start_timeout: self.timeout,
            tls: self.tls.security()?.map_or(OwnTls::None, OwnTls::Given),
        })
    }

    /// Variables of the plugin's environment besides the offer: those of the preset, then those that were given.
    fn variables(&self) -> impl Iterator<Item = (&str, &str)> {
        let of_preset = self.preset().into_iter();
        let of_preset =
            of_preset.flat_map(|preset| preset.further_cookies().iter().chain(preset.env).copied());
        of_preset.chain(self.env.iter().map(|(name, value)| (name.as_str(), value.as_str())))
    }

    /// Makes sure that the plugin is not one of an ecosystem that speaks another protocol.
    pub(crate) fn is_supported(&self) -> Result<(), HandshakeLineFault> {
        if self.preset().is_some_and(|preset| preset.refused) {
            Err(HandshakeLineFault::Packer)
        } else {
            Ok(())
        }
    }

    /// The preset that was asked for, or that the program's name tells.
    pub(crate) fn preset(&self) -> Option<&'static Preset> {
        // The cookie may be one of the environment, and then means less than what was asked for here.
        self.preset.or_else(|| match &self.cookie {
            Some(_) => None,
            None => presets::of_program(&self.program),
        })
    }

    /// The cookie that was given, or that of the preset. Without either it is one that no plugin expects: what is no
    /// plugin is told all the same, and a plugin says that it wants another.
    pub(crate) fn magic_cookie(&self) -> MagicCookie {
        match (self.preset(), &self.cookie) {
            (Some(preset), _) => preset.cookie(),
            (None, Some(cookie)) => cookie.clone(),
            (None, None) => MagicCookie::new("RPCPLUGIN_WITHOUT_COOKIE", "1").expect("a key and a value"),
        }
    }

    /// Whether it is known which cookie the plugin wants.
    pub(crate) fn has_cookie(&self) -> bool {
        self.cookie.is_some() || self.preset().is_some()
    }

    /// The versions that are offered to the plugin.
    pub(crate) fn offered_versions(&self) -> Versions {
        let of_preset = || self.preset().map(Preset::versions);
        // Plugins made with pyvider refuse a list that goes further.
        let any = || Versions::new(0_u32..=7).expect("there are some");
        self.versions.clone().or_else(of_preset).unwrap_or_else(any)
    }

    /// Whether the versions offered are a guess of this program.
    pub(crate) fn guesses_versions(&self) -> bool {
        self.versions.is_none() && self.preset().is_none()
    }

    /// What helps where the plugin answers with a version that was not offered.
    pub(crate) fn help_for_version(&self, spoken: AppVersion) -> String {
        let why = match (&self.versions, self.preset()) {
            (Some(given), _) => format!("--versions {given} does not offer it"),
            (None, Some(preset)) => format!("the hosts of {} offer {}", preset.name, preset.versions()),
            (None, None) => "0 to 7 are offered by default".to_owned(),
        };
        format!("{why}: --versions {spoken} does")
    }

    /// What helps where the plugin's line is no answer of gRPC.
    pub(crate) fn help_for_answer(&self, error: &HandshakeLineError) -> String {
        let help = miette::Diagnostic::help(error).map(|help| help.to_string()).unwrap_or_default();
        match (&error.fault, &self.versions) {
            (HandshakeLineFault::NetRpc, Some(given)) => {
                format!("{help}; it may serve other versions than --versions {given} by gRPC: offer those")
            }
            (HandshakeLineFault::NetRpc, None) => {
                format!("{help}; if it serves an older version by gRPC, offer that one alone with --versions")
            }
            _ => help,
        }
    }

    /// The name of the program's file.
    pub(crate) fn name(&self) -> String {
        let name = self.program.file_name().unwrap_or(self.program.as_os_str());
        Path::new(name).display().to_string()
    }
}

fn cookie(text: &str) -> Result<MagicCookie, String> {
    let (key, value) = variable(text)?;
    MagicCookie::new(key, value).map_err(|error| error.to_string())
}

fn variable(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("KEY=VALUE is needed")?;
    match name {
        "" => Err("there is nothing before the `=`".to_owned()),
        name => Ok((name.to_owned(), value.to_owned())),
    }
}

/// Reads `1,5,6`, `1-6`, and mixtures.
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
    fn a_preset_counts_more_than_a_cookie_and_both_more_than_a_name() {
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
