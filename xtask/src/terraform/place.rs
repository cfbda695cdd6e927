//! A directory in which Terraform runs, and what is around it.

use std::cell::{Cell, RefCell};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value as Json;
use tempfile::TempDir;

use super::log::Log;
use crate::leftovers;
use crate::workspace::Outcome;

/// A fresh directory with a configuration, a store and a place for temporary files.
pub(super) struct Place {
    directory: TempDir,
    provider: PathBuf,
    environment: RefCell<Vec<(&'static str, String)>>,
    /// By this the processes that were started here are known.
    marker: String,
    runs: Cell<usize>,
}

/// A Terraform that has ended.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) status: Option<i32>,
    pub(super) stdout: String,
    pub(super) stderr: String,
    /// Everything that it and its plugins logged.
    pub(super) log: Log,
}

/// A Terraform that runs.
pub(super) struct Running {
    pub(super) child: Child,
    what: String,
    log: PathBuf,
    stdout: PathBuf,
    stderr: PathBuf,
    deadline: Instant,
}

impl Place {
    pub(super) fn new(provider: &Path, environment: &[(&'static str, &'static str)]) -> Outcome<Self> {
        let directory = tempfile::Builder::new().prefix("terraform-").tempdir()?;
        let environment =
            RefCell::new(environment.iter().map(|(name, value)| (*name, (*value).to_owned())).collect());
        let marker = directory.path().display().to_string();
        let place =
            Self { directory, provider: provider.to_owned(), environment, marker, runs: Cell::default() };
        for name in ["work", "store", "tmp"] {
            fs::create_dir(place.path(name))?;
        }
        let overrides = provider.parent().unwrap_or(provider).display();
        fs::write(
            place.path("terraform.rc"),
            format!(
                "provider_installation {{\n  dev_overrides {{\n    \"{ADDRESS}\" = \"{overrides}\"\n  }}\n}}\n"
            ),
        )?;
        Ok(place)
    }

    /// Sets a variable for everything that is started from now on.
    pub(super) fn set(&self, name: &'static str, value: impl Into<String>) {
        self.environment.borrow_mut().push((name, value.into()));
    }

    /// A path in the directory.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(super) fn provider(&self) -> &Path {
        &self.provider
    }

    /// Replaces the configuration. The provider and its requirement are added.
    pub(super) fn configure(&self, configuration: &str) -> Outcome {
        let required = format!(
            "terraform {{\n  required_providers {{\n    demo = {{ source = \"{ADDRESS}\" }}\n  }}\n}}\n"
        );
        Ok(fs::write(self.path("work/main.tf"), required + configuration)?)
    }

    /// Runs Terraform to its end, and checks that it was on good terms with its plugins.
    pub(super) fn terraform(&self, line: &str) -> Outcome<Ended> {
        let ended = self.terraform_uncertain(line)?;
        ended.log.check_good_endings().map_err(|why| format!("terraform {line}: {why}"))?;
        Ok(ended)
    }

    /// As [`terraform`](Self::terraform), which has to succeed.
    pub(super) fn succeeds(&self, line: &str) -> Outcome<Ended> {
        let ended = self.terraform(line)?;
        if ended.status == Some(0) {
            return Ok(ended);
        }
        Err(format!("terraform {line}: status {:?}\n{}", ended.status, ended.stderr).into())
    }

    /// As [`terraform`](Self::terraform), which has to fail with this message.
    pub(super) fn fails(&self, line: &str, message: &str) -> Outcome<Ended> {
        let ended = self.terraform(line)?;
        if ended.status == Some(1) && ended.said(message) {
            return Ok(ended);
        }
        let Ended { status, stderr, .. } = ended;
        Err(format!("terraform {line}: status {status:?}, and {message:?} was expected\n{stderr}").into())
    }

    /// Runs Terraform to its end, whatever happens to its plugins.
    pub(super) fn terraform_uncertain(&self, line: &str) -> Outcome<Ended> {
        self.start(line)?.ended()
    }

    /// Starts Terraform in a process group of its own, as a shell does.
    pub(super) fn start(&self, line: &str) -> Outcome<Running> {
        let run = self.runs.replace(self.runs.get() + 1);
        let file = |ending: &str| self.path(&format!("{run}.{ending}"));
        let [log, stdout, stderr] = ["log", "stdout", "stderr"].map(file);
        let mut command = Command::new("terraform");
        command
            .args(line.split(' '))
            .current_dir(self.path("work"))
            .env("TF_LOG", "JSON")
            .env("TF_LOG_PATH", &log)
            .env("TF_CLI_CONFIG_FILE", self.path("terraform.rc"))
            .env("TF_IN_AUTOMATION", "1")
            .env("CHECKPOINT_DISABLE", "1");
        self.surround(&mut command);
        let child = command
            .stdin(Stdio::null())
            .stdout(fs::File::create(&stdout)?)
            .stderr(fs::File::create(&stderr)?)
            .spawn()
            .map_err(|error| format!("terraform cannot be started: {error}"))?;
        Ok(Running { child, what: line.to_owned(), log, stdout, stderr, deadline: Instant::now() + PATIENCE })
    }

    /// Gives a command the environment that everything here has.
    pub(super) fn surround(&self, command: &mut Command) {
        command
            .env("TMPDIR", self.path("tmp"))
            .env("DEMO_STORE", self.path("store"))
            .env(leftovers::MARKER, &self.marker)
            .envs(self.environment.borrow().iter().map(|(name, value)| (name, value)));
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(command, 0);
    }

    /// The state that Terraform stored.
    pub(super) fn state(&self) -> Outcome<Json> {
        Ok(serde_json::from_slice(&fs::read(self.path("work/terraform.tfstate"))?)?)
    }

    /// The instances of a resource in the state.
    pub(super) fn instances(&self, name: &str) -> Outcome<Vec<Json>> {
        let state = self.state()?;
        let resources = state["resources"].as_array().into_iter().flatten();
        let wanted = resources.filter(|resource| resource["name"] == name);
        Ok(wanted.flat_map(|one| one["instances"].as_array().cloned().unwrap_or_default()).collect())
    }

    /// The attributes of the only instance of a resource in the state.
    pub(super) fn attributes(&self, name: &str) -> Outcome<Json> {
        match self.instances(name)?.as_slice() {
            [one] => Ok(one["attributes"].clone()),
            many => Err(format!("the state has {} instances of {name}", many.len()).into()),
        }
    }

    /// An output in the state.
    pub(super) fn output(&self, name: &str) -> Outcome<Json> {
        Ok(self.state()?["outputs"][name]["value"].clone())
    }

    /// The names of the files in the store.
    pub(super) fn stored(&self) -> Outcome<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(self.path("store"))? {
            names.push(entry?.file_name().to_string_lossy().into_owned());
        }
        names.sort();
        Ok(names)
    }

    /// A thing in the store.
    pub(super) fn thing(&self, id: &str) -> Outcome<Json> {
        Ok(serde_json::from_slice(&fs::read(self.path(&format!("store/{id}.json")))?)?)
    }

    /// No process is left, and no socket, directory or file among the temporary ones.
    pub(super) fn check_nothing_left(&self) -> Outcome {
        let mut left = leftovers::survivors(&self.marker);
        left.extend(leftovers::files(&self.path("tmp")));
        if left.is_empty() { Ok(()) } else { Err(format!("left behind: {}", left.join(", ")).into()) }
    }

    /// Keeps the directory for somebody to look at, and says where it is.
    pub(super) fn keep(mut self) -> String {
        leftovers::end(&self.marker);
        self.directory.disable_cleanup(true);
        format!("kept: {}", self.directory.path().display())
    }
}

impl Running {
    /// Waits until the log has a line like this.
    pub(super) fn until_logged(&mut self, text: &str) -> Outcome {
        while !fs::read_to_string(&self.log).unwrap_or_default().contains(text) {
            if self.child.try_wait()?.is_some() || Instant::now() > self.deadline {
                return Err(format!("terraform {}: {text:?} was never logged", self.what).into());
            }
            std::thread::sleep(POLL);
        }
        Ok(())
    }

    /// Interrupts Terraform and its plugins, as Ctrl-C at a terminal does.
    pub(super) fn interrupt(&self) -> Outcome {
        let group = format!("-{}", self.child.id());
        let status = Command::new("kill").args(["-INT", "--", &group]).status()?;
        if status.success() { Ok(()) } else { Err("terraform cannot be interrupted".into()) }
    }

    /// Waits for the end.
    pub(super) fn ended(mut self) -> Outcome<Ended> {
        let status = loop {
            if let Some(status) = self.child.try_wait()? {
                break status;
            }
            if Instant::now() > self.deadline {
                leftovers::kill_group(self.child.id());
                self.child.wait()?;
                return Err(format!("terraform {}: did not end", self.what).into());
            }
            std::thread::sleep(POLL);
        };
        Ok(Ended {
            status: status.code(),
            stdout: without_colours(&fs::read_to_string(&self.stdout)?),
            stderr: without_colours(&fs::read_to_string(&self.stderr)?),
            log: Log::read(&fs::read_to_string(&self.log).unwrap_or_default()),
        })
    }
}

impl Ended {
    /// Whether it told this to the user, wherever it broke the lines.
    pub(super) fn said(&self, message: &str) -> bool {
        let words = |text: &str| {
            let words = text.split(|c: char| c.is_whitespace() || "│╷╵".contains(c));
            words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
        };
        [&self.stdout, &self.stderr].into_iter().any(|text| words(text).contains(&words(message)))
    }

    /// Checks that it told this to the user.
    pub(super) fn must_say(&self, message: &str) -> Outcome {
        if self.said(message) {
            return Ok(());
        }
        Err(format!("{message:?} was expected\n{}{}", self.stdout, self.stderr).into())
    }
}

/// Terraform prints colours wherever it prints to, and not every command has the option against it.
fn without_colours(text: &str) -> String {
    let mut pieces = text.split("\u{1b}[");
    let plain = pieces.next().unwrap_or_default().to_owned();
    pieces.fold(plain, |plain, piece| plain + piece.split_once('m').map_or(piece, |(_, rest)| rest))
}

/// The provider's address. Nobody asks the host in it, for the provider is overridden.
pub(super) const ADDRESS: &str = "example.com/accept/demo";

/// How long one command may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// How often is looked whether it has ended.
const POLL: Duration = Duration::from_millis(5);
