//! The conformance programs of each language, built from what is in the repository.

use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::Command;

use super::matrix::Language;
use crate::workspace::{self, Outcome, cargo};

/// Whether the programs of a language can be run.
pub(super) enum Readiness {
    Ready {
        programs: Programs,
        /// What the toolchain calls itself.
        toolchain: String,
    },
    /// This machine lacks something.
    Missing(String),
    /// Everything is there, and yet they do not build.
    Broken(String),
}

/// How to start a host and a plugin: the program and its first arguments.
pub(super) struct Programs {
    pub(super) host: Vec<OsString>,
    pub(super) plugin: Vec<OsString>,
}

/// Builds the programs of a language below `directory`.
pub(super) fn prepare(language: Language, directory: &Path) -> Outcome<Readiness> {
    println!("building the {language} programs");
    fs::create_dir_all(directory)?;
    match language {
        Language::Rust => rust(directory),
        Language::Go => Ok(go(directory)),
        Language::Python => python(directory),
    }
}

fn rust(directory: &Path) -> Outcome<Readiness> {
    // The whole workspace selects the features, as in every other step: nothing is compiled a second time.
    let mut build = cargo(["build", "--workspace", "--bin", "kit-host", "--bin", "kit-plugin"]);
    if let Err(why) = succeed(&mut build) {
        return Ok(Readiness::Broken(why));
    }
    let built = directory.parent().ok_or("the target directory has no parent")?.join("debug");
    let program = |name: &str| vec![built.join(name).with_extension(std::env::consts::EXE_EXTENSION).into()];
    Ok(Readiness::Ready {
        programs: Programs { host: program("kit-host"), plugin: program("kit-plugin") },
        toolchain: version(Command::new("rustc").arg("--version")),
    })
}

fn go(directory: &Path) -> Readiness {
    let toolchain = match crate::toolchain::Tool::Go.version() {
        Ok(version) => version,
        Err(why) => return Readiness::Missing(why),
    };
    let module = workspace::root().join("tests/interop/go");
    if let Err(why) = succeed(Command::new("go").args(["mod", "download"]).current_dir(&module)) {
        return Readiness::Missing(format!("the Go modules cannot be fetched: {why}"));
    }
    let old = workspace::root().join("tests/interop/go-old");
    if let Err(why) = succeed(Command::new("go").args(["mod", "download"]).current_dir(&old)) {
        return Readiness::Missing(format!("the Go modules cannot be fetched: {why}"));
    }
    let programs = directory.join("go");
    for (module, packages) in [(&module, "./cmd/..."), (&old, "./...")] {
        let mut build = Command::new("go");
        // With a separator at its end, the output is a directory.
        build.arg("build").arg("-o").arg(programs.join("")).arg(packages).current_dir(module);
        if let Err(why) = succeed(&mut build) {
            return Readiness::Broken(why);
        }
    }
    let program =
        |name: &str| vec![programs.join(name).with_extension(std::env::consts::EXE_EXTENSION).into()];
    Readiness::Ready {
        programs: Programs { host: program("kit-host"), plugin: program("kit-plugin") },
        toolchain,
    }
}

fn python(directory: &Path) -> Outcome<Readiness> {
    let toolchain = match crate::toolchain::Tool::Python.version() {
        Ok(version) => version,
        Err(why) => return Ok(Readiness::Missing(why)),
    };
    let sources = workspace::root().join("tests/interop/python");
    let environment = directory.join("python");
    let interpreter = environment.join(if cfg!(windows) { "Scripts/python.exe" } else { "bin/python" });
    let wanted = fs::read_to_string(sources.join("requirements.txt"))?;
    // Written last, so that a half-made environment is made again.
    let installed = environment.join("installed.txt");
    if fs::read_to_string(&installed).ok().as_ref() != Some(&wanted) {
        let mut create = Command::new("python3");
        create.args(["-m", "venv", "--clear"]).arg(&environment);
        let mut install = Command::new(&interpreter);
        install.args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "-r",
            "requirements.txt",
        ]);
        install.current_dir(&sources);
        for command in [&mut create, &mut install] {
            if let Err(why) = succeed(command) {
                return Ok(Readiness::Missing(format!("the Python environment cannot be made: {why}")));
            }
        }
        fs::write(&installed, wanted)?;
    }
    let program = |name: &str| vec![interpreter.clone().into(), sources.join(name).into()];
    Ok(Readiness::Ready {
        programs: Programs { host: program("kit_host.py"), plugin: program("kit_plugin.py") },
        toolchain,
    })
}

/// Runs a command to its end, with what it prints shown as it comes.
fn succeed(command: &mut Command) -> Result<(), String> {
    let shown = format!("{} {}", command.get_program().display(), shown_arguments(command));
    println!("   {shown}");
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("`{shown}` ended with {status}")),
        Err(error) => Err(format!("`{shown}` cannot be started: {error}")),
    }
}

fn shown_arguments(command: &Command) -> String {
    command.get_args().map(|argument| argument.display().to_string()).collect::<Vec<_>>().join(" ")
}

fn version(command: &mut Command) -> String {
    let output = command.output().map(|output| output.stdout).unwrap_or_default();
    String::from_utf8_lossy(&output).trim().to_owned()
}
