//! Which plugin to launch, and as which host: the arguments that most commands share.

mod not_started;

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    time::Duration,
};

use clap::{Args, builder::TypedValueParser as _};
use rpcplugin::{Command, Host, LaunchError, LaunchFault, MagicCookie, Plugin, Stdin, Versions};

pub(crate) use self::not_started::NotStarted;
use crate::{
    bare::Subject,
    duration,
    out::Out,
    presets::{self, Preset},
};

/// A plugin, and the host that launches it.
#[derive(Debug, Clone, Args)]
pub(crate) struct LaunchArgs {
    /// The magic cookie that the plugin expects from its host.
    #[arg(long, value_name = "KEY=VALUE", env = "RPCPLUGIN_COOKIE", value_parser = cookie)]
    pub(crate) cookie: Option<MagicCookie>,
    /// Uses the cookie and the versions of a known ecosystem, whatever cookie is given. Without it, it is told by the
    /// program's name where that is possible.
    #[arg(long, value_name = "NAME",
        value_parser = clap::builder::PossibleValuesParser::new(presets::names()).map(|name| presets::find(&name)))]
    pub(crate) preset: Option<&'static Preset>,
    /// The versions of the application's protocol to offer, such as 1,5,6 or 1-6. By default those of the preset, or 1
    /// to 7.
    #[arg(long, value_name = "LIST", value_parser = versions)]
    pub(crate) versions: Option<Versions>,
    /// Offers no one-time certificate. Whatever runs as the same user can then talk to the plugin.
    #[arg(long)]
    pub(crate) no_mtls: bool,
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
    /// The plugin's program.
    #[arg(value_name = "PLUGIN")]
    pub(crate) program: PathBuf,
    /// The plugin's own arguments. Behind `--` they may look like those of this program.
    #[arg(value_name = "ARGS", trailing_var_arg = true, allow_hyphen_values = true)]
    pub(crate) args: Vec<OsString>,
}

/// The plugin wants a magic cookie, and none was given.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[error("{program} is a plugin, and its magic cookie was not given")]
#[diagnostic(
    code(rpcplugin::config::cookie_missing),
    help(
        "give it with --cookie KEY=VALUE: they are `MagicCookieKey` and `MagicCookieValue` in the source of the plugin or \
         of its host; --preset has those of well-known hosts"
    )
)]
pub(crate) struct CookieMissing {
    program: String,
    source: LaunchError,
}

/// The program was looked for in PATH alone, and is in this directory.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[error("there is no {program} in PATH, but there is one in this directory")]
#[diagnostic(
    code(rpcplugin::transport::plugin_not_in_path),
    help("a name without a slash is looked for in PATH; write it as ./{program}")
)]
pub(crate) struct NotInPath {
    program: String,
}

impl LaunchArgs {
    /// The host that launches the plugin.
    pub(crate) fn host(&self) -> Host {
        Host::new(self.magic_cookie(), self.offered_versions()).configure(|config| {
            config.auto_mtls = !self.no_mtls;
            config.multiplex = self.mux;
            config.start_deadline = self.timeout;
            // Each command shows of the log what belongs to its own output.
            config.print_logs = false;
        })
    }

    /// Launches the plugin. A sign on the terminal tells of it while that takes its time.
    ///
    /// # Errors
    /// [`NotStarted`], [`CookieMissing`] or [`NotInPath`].
    pub(crate) async fn launch(&self, out: &Out) -> miette::Result<Plugin> {
        let _working = out.working(format!("starting {}", self.name()));
        self.launch_by(&self.host()).await
    }

    /// The same, by a host that was made of [`host`](Self::host).
    pub(crate) async fn launch_by(&self, host: &Host) -> miette::Result<Plugin> {
        host.launch(self.command()).await.map_err(|error| match error.fault {
            LaunchFault::CookieRefused(_) if !self.has_cookie() => {
                CookieMissing { program: self.name(), source: error }.into()
            }
            LaunchFault::NotFound { ref program }
                if program.components().count() == 1 && Path::new(".").join(program).is_file() =>
            {
                NotInPath { program: self.name() }.into()
            }
            _ => NotStarted::new(error).into(),
        })
    }

    /// The plugin's command. It reads nothing from this program's standard input.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(&self.program).args(&self.args).stdin(Stdin::Null);
        for (name, value) in &self.env {
            command = command.env(name, value);
        }
        match &self.dir {
            Some(dir) => command.current_dir(dir),
            None => command,
        }
    }

    /// The plugin, to be started without a host library.
    pub(crate) fn subject(&self) -> Subject {
        let bare = self.program.components().count() == 1
            && !self.program.as_os_str().as_encoded_bytes().contains(&b'/');
        // In another directory a relative path would mean another file.
        let program = if bare { None } else { std::path::absolute(&self.program).ok() };
        Subject {
            program: program.unwrap_or_else(|| self.program.clone()),
            args: self.args.clone(),
            cookie: self.magic_cookie(),
            versions: self.offered_versions(),
            env: self.env.iter().map(|(name, value)| (name.into(), value.into())).collect(),
            dir: self.dir.clone(),
            patience: self.timeout,
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
        let any = || Versions::new(1_u32..=7).expect("there are some");
        self.versions.clone().or_else(of_preset).unwrap_or_else(any)
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
