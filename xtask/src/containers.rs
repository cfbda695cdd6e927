//! `cargo xtask containers`: plugins in containers of a real Podman, which are the ignored tests in `tests/tests/containers.rs`.
//!
//! Podman gets settings, storage and a socket of its own, so that it meets no container of this machine. It runs as root, because
//! the tests look into the processes of containers.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::images::{self, Image};
use crate::toolchain::{Tool, first_line};
use crate::workspace::{self, Outcome, Workspace, cargo, succeed};

/// Options of `cargo xtask containers`.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct Options {
    /// Fail if there is no Podman, instead of skipping
    #[arg(long)]
    pub(crate) require: bool,
    /// Run only the tests whose name contains this
    #[arg(long, value_name = "TEXT")]
    pub(crate) filter: Option<String>,
    /// Also run every combination of security and multiplexing with each language
    #[arg(long)]
    pub(crate) full: bool,
    /// Measure launches and calls beside `podman run` and a child process, and run no other test
    #[arg(long)]
    pub(crate) measure: bool,
    /// The peers whose tests fail where the peer is missing, as in `RPCPLUGIN_REQUIRE`
    #[arg(skip)]
    pub(crate) peers: String,
}

/// Starts Podman, loads the images, and runs the tests.
pub(crate) fn run(options: &Options) -> Outcome {
    if let Err(why) = obstacle() {
        if options.require {
            return Err(format!("required, but {why}").into());
        }
        println!("SKIPPED  {why}");
        return Ok(());
    }
    let target = Workspace::load()?.target;
    let (program, archives) = images(&target.join("images"), options.measure)?;
    let podman = Podman::start(&target.join("containers"))?;
    for archive in &archives {
        succeed(podman.command().args(["load", "--quiet", "--input"]).arg(archive).stdout(Stdio::null()))?;
    }
    // The tests in `hosts` run alone: each host removes the containers of all hosts that are gone.
    let mut runs = match &options.filter {
        _ if options.measure => vec![vec!["--nocapture", "--test-threads", "1", "measured"]],
        Some(filter) => vec![vec!["--test-threads", "1", "--skip", "measured", filter]],
        None => vec![
            vec!["--test-threads", "4", "--skip", "measured", "--skip", "hosts::"],
            vec!["--test-threads", "1", "hosts::"],
        ],
    };
    if !options.full {
        runs.iter_mut().for_each(|run| run.extend(["--skip", "every_combination"]));
    }
    for run in &runs {
        // The whole workspace selects the features, as in every other step. Nothing is compiled a second time.
        let mut tests = cargo("test --workspace --quiet --test containers -- --ignored".split(' '));
        tests.args(run).env("RPCPLUGIN_TEST_PROGRAM", &program);
        if !options.peers.is_empty() {
            tests.env("RPCPLUGIN_REQUIRE", &options.peers);
        }
        podman.show(&mut tests);
        succeed(&mut tests)?;
    }
    if !options.measure {
        let mut program = cargo(workspace::RUNNERS.split(' '));
        program.args(["--test", "runner_docker", "--", "--ignored", "--test-threads", "2"]);
        podman.show(program.args(&options.filter));
        succeed(&mut program)?;
    }
    podman.stop()
}

/// Why the tests cannot run here.
pub(crate) fn obstacle() -> Result<(), String> {
    if let Some(why) = images::obstacle() {
        return Err(why);
    }
    Tool::Podman.version()?;
    first_line(Command::new("runc").arg("--version")).map_err(|why| format!("no runc ({why})"))?;
    match first_line(Command::new("id").arg("-u")) {
        Ok(id) if id == "0" => Ok(()),
        _ => Err("it needs root".to_owned()),
    }
}

/// Makes the images of the tests, and returns the program in Rust that is in one of them.
fn images(directory: &Path, measure: bool) -> Outcome<(PathBuf, Vec<PathBuf>)> {
    // The programs of all other steps, with their libraries: a static program would be compiled for this step alone.
    succeed(&mut cargo([
        "build",
        "--workspace",
        "--quiet",
        "--bin",
        "kit-plugin",
        "--bin",
        "runner-plugin",
    ]))?;
    let programs = Workspace::load()?.target.join("debug");
    let (rust, runner) = (programs.join("kit-plugin"), programs.join("runner-plugin"));
    let libraries = images::libraries(&rust)?;
    let mut files: Vec<(&str, &Path)> = vec![("kit-plugin", &rust), ("runner-plugin", &runner)];
    files.extend(libraries.iter().filter_map(|library| Some((library.to_str()?, library.as_path()))));
    let name = "localhost/rpcplugin-tests/kit-rust:1";
    let image = Image { name, entrypoint: &["/kit-plugin"], files: &files, links: &[] };
    let mut made = vec![images::archive(directory, &image)?];
    if measure {
        return Ok((rust, made));
    }
    if let Some(go) = images::static_go("kit-plugin")? {
        let files: &[(&str, &Path)] = &[("kit-plugin", &go)];
        let name = "localhost/rpcplugin-tests/kit-go:1";
        made.push(images::archive(
            directory,
            &Image { name, entrypoint: &["/kit-plugin"], files, links: &[] },
        )?);
    }
    // Python and its libraries are those of this machine, which the tests mount.
    let links = &[("bin", "usr/bin"), ("lib", "usr/lib"), ("lib64", "usr/lib64")];
    let name = "localhost/rpcplugin-tests/machine:1";
    made.push(images::archive(directory, &Image { name, entrypoint: &[], files: &[], links })?);
    Ok((rust, made))
}

/// A Podman with settings, storage and a socket of its own.
struct Podman {
    storage: PathBuf,
    /// For paths of sockets, which have to be short.
    short: TempDir,
    service: Child,
}

impl Podman {
    fn start(storage: &Path) -> Outcome<Self> {
        let short = tempfile::Builder::new().prefix("rpcplugin-podman").tempdir_in("/tmp")?;
        let storage = storage.to_owned();
        clear(&storage)?;
        fs::create_dir_all(&storage)?;
        let settings = format!(
            // The limits of files and processes may exceed what this process may set. Control groups of both versions together
            // confuse crun, and systemd may not run.
            "[containers]\n\
             default_ulimits = [\"nofile=4096:4096\", \"nproc=4096:4096\"]\n\
             [engine]\n\
             runtime = \"runc\"\n\
             cgroup_manager = \"cgroupfs\"\n\
             events_logger = \"none\"\n\
             lock_type = \"file\"\n\
             tmp_dir = \"{}/tmp\"\n",
            short.path().display()
        );
        fs::write(short.path().join("containers.conf"), settings)?;
        let mut service = command(&storage, short.path());
        let socket = short.path().join("podman.sock");
        // Podman before 5.0 makes a file in this directory for each container whose memory ran out.
        service.current_dir(short.path());
        let service = service
            .args(["system", "service", "--time", "0"])
            .arg(format!("unix://{}", socket.display()))
            .stdin(Stdio::null())
            .spawn()?;
        let podman = Self { storage, short, service };
        let begin = Instant::now();
        while !socket.exists() {
            if begin.elapsed() > START {
                return Err(format!("podman does not listen after {} s", START.as_secs()).into());
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(podman)
    }

    /// A command of this Podman.
    fn command(&self) -> Command {
        command(&self.storage, self.short.path())
    }

    /// Shows the tests where Podman is, and how to call it.
    fn show(&self, tests: &mut Command) {
        let command = self.command();
        let words = std::iter::once(command.get_program()).chain(command.get_args());
        let words: Vec<_> = words.map(|word| word.to_string_lossy()).collect();
        tests
            .env("RPCPLUGIN_TEST_ENGINE", format!("unix://{}/podman.sock", self.short.path().display()))
            .env("RPCPLUGIN_TEST_PODMAN", words.join(" "))
            .env("CONTAINERS_CONF", self.short.path().join("containers.conf"));
    }

    /// Fails if the tests have left a container.
    fn stop(self) -> Outcome {
        let output = self.command().args(["ps", "--all", "--format", "{{.Names}} {{.Status}}"]).output()?;
        let left = String::from_utf8_lossy(&output.stdout).trim().replace('\n', ", ");
        if left.is_empty() { Ok(()) } else { Err(format!("the tests left containers: {left}").into()) }
    }
}

impl Drop for Podman {
    fn drop(&mut self) {
        let _ = self.command().args(["rm", "--all", "--force"]).stdout(Stdio::null()).status();
        let _ = self.service.kill();
        let _ = self.service.wait();
        if let Err(error) = clear(&self.storage) {
            println!("   {} stays: {error}", self.storage.display());
        }
    }
}

/// Podman with the storage and the settings of the tests.
fn command(storage: &Path, short: &Path) -> Command {
    let mut command = Command::new("podman");
    command
        .arg("--root")
        .arg(storage.join("root"))
        .arg("--runroot")
        .arg(short.join("run"))
        .args(["--storage-driver", "overlay"])
        .env("CONTAINERS_CONF", short.join("containers.conf"));
    command
}

/// Removes the storage. Podman mounts a part of it over itself.
fn clear(storage: &Path) -> Outcome {
    let _ = Command::new("umount").arg(storage.join("root/overlay")).stderr(Stdio::null()).status();
    match fs::remove_dir_all(storage) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

/// How long Podman may take to listen.
const START: Duration = Duration::from_secs(30);
