//! A directory in which Terraform runs with the demo provider.

use std::cell::{Cell, RefCell};
use std::error::Error;
use std::fmt::Debug;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value as Json;
use tempfile::TempDir;

use super::leftovers;
use super::log::Log;

/// A fresh directory with a configuration, a store and temporary files.
pub(crate) struct Workdir {
    directory: TempDir,
    provider: PathBuf,
    /// The directory of the provider.
    _overrides: TempDir,
    environment: RefCell<Vec<(&'static str, String)>>,
    /// The marker of all processes of the scenario.
    marker: String,
    runs: Cell<usize>,
}

/// A finished run of Terraform.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    /// The log of Terraform and its plugins.
    pub(crate) log: Log,
}

/// A running Terraform.
pub(crate) struct Running {
    pub(crate) child: Child,
    what: String,
    log: PathBuf,
    stdout: PathBuf,
    stderr: PathBuf,
    deadline: Instant,
}

/// The result of a step. The error is the text of the failure.
pub(crate) type Outcome<T = ()> = Result<T, Box<dyn Error>>;

/// Runs a scenario in a new directory, and checks that nothing is left. Without Terraform, the scenario is skipped, or fails if
/// `RPCPLUGIN_REQUIRE` names it.
#[expect(clippy::disallowed_methods, reason = "the variable is for the tests alone")]
pub(crate) fn scenario(environment: &[(&'static str, &'static str)], run: fn(&Workdir) -> Outcome) {
    if let Err(error) = Command::new("terraform").arg("version").output() {
        let required = std::env::var("RPCPLUGIN_REQUIRE").unwrap_or_default();
        assert!(!required.contains("terraform"), "terraform is required, but cannot be started: {error}");
        return;
    }
    let place = Workdir::new(environment).expect("a directory for the scenario");
    let outcome = run(&place).and_then(|()| place.check_nothing_left());
    if let Err(why) = outcome {
        let kept = place.keep();
        panic!("{why}\n{kept}");
    }
}

/// Leaves a scenario out whose program is not built, unless `RPCPLUGIN_REQUIRE` names Terraform.
#[expect(clippy::disallowed_methods, reason = "the variable is for the tests alone")]
pub(crate) fn missing(program: &Path) -> Outcome {
    let required = std::env::var("RPCPLUGIN_REQUIRE").unwrap_or_default();
    if required.contains("terraform") {
        Err(format!("{} is not there", program.display()).into())
    } else {
        Ok(())
    }
}

/// Checks that a value is as expected.
#[expect(clippy::needless_pass_by_value, reason = "callers pass temporary values")]
pub(crate) fn same<A: Debug + PartialEq<B>, B: Debug>(what: &str, found: A, wanted: B) -> Outcome {
    if found == wanted {
        return Ok(());
    }
    Err(format!("{what}\n  is     {found:?}\n  not    {wanted:?}").into())
}

/// The id of the thing with this name: the start of the SHA-256 of the name.
pub(crate) fn id(name: &str) -> &'static str {
    match name {
        "one" => "thing-7692c3ad3540",
        "two" => "thing-3fc4ccfe7458",
        other => unreachable!("the identifier of {other} is not known"),
    }
}

impl Workdir {
    fn new(environment: &[(&'static str, &'static str)]) -> Outcome<Self> {
        let directory = tempfile::Builder::new().prefix("terraform-").tempdir()?;
        let environment =
            RefCell::new(environment.iter().map(|(name, value)| (*name, (*value).to_owned())).collect());
        let marker = directory.path().display().to_string();
        // The provider is alone in its directory, because Terraform takes the first matching program.
        let overrides = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
        let provider = overrides.path().join("terraform-provider-demo");
        fs::hard_link(env!("CARGO_BIN_EXE_terraform-provider-demo"), &provider)?;
        let configuration = format!(
            "provider_installation {{\n  dev_overrides {{\n    \"{ADDRESS}\" = \"{}\"\n  }}\n}}\n",
            overrides.path().display()
        );
        let runs = Cell::default();
        let place = Self { directory, provider, environment, marker, runs, _overrides: overrides };
        for name in ["work", "store", "tmp"] {
            fs::create_dir(place.path(name))?;
        }
        fs::write(place.path("terraform.rc"), configuration)?;
        Ok(place)
    }

    /// Sets a variable for all programs that are started from now on.
    pub(crate) fn set(&self, name: &'static str, value: impl Into<String>) {
        self.environment.borrow_mut().push((name, value.into()));
    }

    /// A path in the directory.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn provider(&self) -> &Path {
        &self.provider
    }

    /// Replaces the configuration, and adds the requirement of the provider.
    pub(crate) fn configure(&self, configuration: &str) -> Outcome {
        let required = format!(
            "terraform {{\n  required_providers {{\n    demo = {{ source = \"{ADDRESS}\" }}\n  }}\n}}\n"
        );
        Ok(fs::write(self.path("work/main.tf"), required + configuration)?)
    }

    /// Runs Terraform to its end, and checks that its plugins exited cleanly.
    pub(crate) fn terraform(&self, line: &str) -> Outcome<Ended> {
        let ended = self.terraform_uncertain(line)?;
        ended.log.check_good_endings().map_err(|why| format!("terraform {line}: {why}"))?;
        Ok(ended)
    }

    /// As [`terraform`](Self::terraform). Terraform must succeed.
    pub(crate) fn succeeds(&self, line: &str) -> Outcome<Ended> {
        let ended = self.terraform(line)?;
        if ended.status == Some(0) {
            return Ok(ended);
        }
        Err(format!("terraform {line}: status {:?}\n{}", ended.status, ended.stderr).into())
    }

    /// As [`terraform`](Self::terraform). Terraform must fail with this message.
    pub(crate) fn fails(&self, line: &str, message: &str) -> Outcome<Ended> {
        let ended = self.terraform(line)?;
        if ended.status == Some(1) && ended.printed(message) {
            return Ok(ended);
        }
        let Ended { status, stderr, .. } = ended;
        Err(format!("terraform {line}: status {status:?}, and {message:?} was expected\n{stderr}").into())
    }

    /// Runs Terraform to its end, without a check of its plugins.
    pub(crate) fn terraform_uncertain(&self, line: &str) -> Outcome<Ended> {
        self.start(line)?.ended()
    }

    /// Starts Terraform in a new process group, as a shell does.
    pub(crate) fn start(&self, line: &str) -> Outcome<Running> {
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
        Ok(Running { child, what: line.to_owned(), log, stdout, stderr, deadline: Instant::now() + LIMIT })
    }

    /// Sets the environment of the scenario for a command.
    pub(crate) fn surround(&self, command: &mut Command) {
        command
            .env("TMPDIR", self.path("tmp"))
            .env("DEMO_STORE", self.path("store"))
            .env(leftovers::MARKER, &self.marker)
            .envs(self.environment.borrow().iter().map(|(name, value)| (name, value)));
        std::os::unix::process::CommandExt::process_group(command, 0);
    }

    /// The state that Terraform stored.
    pub(crate) fn state(&self) -> Outcome<Json> {
        Ok(serde_json::from_slice(&fs::read(self.path("work/terraform.tfstate"))?)?)
    }

    /// The instances of a resource in the state.
    pub(crate) fn instances(&self, name: &str) -> Outcome<Vec<Json>> {
        let state = self.state()?;
        let resources = state["resources"].as_array().into_iter().flatten();
        let wanted = resources.filter(|resource| resource["name"] == name);
        Ok(wanted.flat_map(|one| one["instances"].as_array().cloned().unwrap_or_default()).collect())
    }

    /// The attributes of the only instance of a resource in the state.
    pub(crate) fn attributes(&self, name: &str) -> Outcome<Json> {
        match self.instances(name)?.as_slice() {
            [one] => Ok(one["attributes"].clone()),
            many => Err(format!("the state has {} instances of {name}", many.len()).into()),
        }
    }

    /// An output in the state.
    pub(crate) fn output(&self, name: &str) -> Outcome<Json> {
        Ok(self.state()?["outputs"][name]["value"].clone())
    }

    /// The names of the files in the store.
    pub(crate) fn stored(&self) -> Outcome<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(self.path("store"))? {
            names.push(entry?.file_name().to_string_lossy().into_owned());
        }
        names.sort();
        Ok(names)
    }

    /// A thing in the store.
    pub(crate) fn thing(&self, id: &str) -> Outcome<Json> {
        Ok(serde_json::from_slice(&fs::read(self.path(&format!("store/{id}.json")))?)?)
    }

    /// Checks that no process and no temporary file is left.
    pub(crate) fn check_nothing_left(&self) -> Outcome {
        let mut left = leftovers::survivors(&self.marker);
        left.extend(leftovers::files(&self.path("tmp")));
        if left.is_empty() { Ok(()) } else { Err(format!("left behind: {}", left.join(", ")).into()) }
    }

    /// Keeps the directory for inspection, and returns a line with its path.
    pub(crate) fn keep(mut self) -> String {
        leftovers::kill_marked(&self.marker);
        self.directory.disable_cleanup(true);
        format!("kept: {}", self.directory.path().display())
    }
}

impl Running {
    /// Waits until a line of the log contains this text.
    pub(crate) fn until_logged(&mut self, text: &str) -> Outcome {
        while !fs::read_to_string(&self.log).unwrap_or_default().contains(text) {
            if self.child.try_wait()?.is_some() || Instant::now() > self.deadline {
                return Err(format!("terraform {}: {text:?} was never logged", self.what).into());
            }
            std::thread::sleep(POLL);
        }
        Ok(())
    }

    /// Interrupts Terraform and its plugins, as Ctrl-C at a terminal does.
    pub(crate) fn interrupt(&self) -> Outcome {
        let group = format!("-{}", self.child.id());
        let status = Command::new("kill").args(["-INT", "--", &group]).status()?;
        if status.success() { Ok(()) } else { Err("terraform cannot be interrupted".into()) }
    }

    /// Waits for the end.
    pub(crate) fn ended(mut self) -> Outcome<Ended> {
        let status = loop {
            if let Some(status) = self.child.try_wait()? {
                break status;
            }
            if Instant::now() > self.deadline {
                leftovers::kill(&format!("-{}", self.child.id()));
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
    /// Whether Terraform printed this, with any line breaks.
    pub(crate) fn printed(&self, message: &str) -> bool {
        let words = |text: &str| {
            let words = text.split(|c: char| c.is_whitespace() || "│╷╵".contains(c));
            words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
        };
        [&self.stdout, &self.stderr].into_iter().any(|text| words(text).contains(&words(message)))
    }

    /// Checks that Terraform printed this.
    pub(crate) fn must_print(&self, message: &str) -> Outcome {
        if self.printed(message) {
            return Ok(());
        }
        Err(format!("{message:?} was expected\n{}{}", self.stdout, self.stderr).into())
    }
}

/// The text without colours. Terraform prints colours to files too, and not all commands have an option against that.
fn without_colours(text: &str) -> String {
    let mut pieces = text.split("\u{1b}[");
    let plain = pieces.next().unwrap_or_default().to_owned();
    pieces.fold(plain, |plain, piece| plain + piece.split_once('m').map_or(piece, |(_, rest)| rest))
}

/// The address of the provider. Terraform does not contact the registry, because the provider is overridden.
pub(crate) const ADDRESS: &str = "example.com/accept/demo";

/// How long a command may take.
const LIMIT: Duration = Duration::from_secs(120);

/// The pause between two checks of a running Terraform.
const POLL: Duration = Duration::from_millis(5);
