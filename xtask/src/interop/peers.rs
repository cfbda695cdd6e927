//! The conformance programs of each language, built from the sources in the repository.

use std::collections::BTreeMap;
use std::env::consts::EXE_EXTENSION;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::matrix::Language;
use crate::toolchain::{Tool, first_line};
use crate::workspace::{self, cargo, succeed};

/// Whether the programs of a language can be run.
pub(super) enum Readiness {
    Ready {
        programs: Programs,
        /// The version of the toolchain.
        toolchain: String,
    },
    /// This machine lacks something.
    Missing(String),
    /// The toolchain is there, and the programs do not build.
    Broken(String),
}

/// The programs of each language.
pub(super) type Peers = BTreeMap<Language, Readiness>;

/// How to start a host and a plugin: the program and its first arguments.
pub(super) struct Programs {
    pub(super) host: Vec<OsString>,
    pub(super) plugin: Vec<OsString>,
}

/// Builds the programs of a language below `directory`.
pub(super) fn prepare(language: Language, directory: &Path) -> Readiness {
    println!("building the {language} programs");
    let built = match language {
        Language::Rust => rust(directory),
        Language::Go => go(directory),
        Language::Python => python(directory),
    };
    built.unwrap_or_else(|fault| fault)
}

/// `Readiness` as an error says why the programs are not ready.
type Built = Result<Readiness, Readiness>;

fn rust(directory: &Path) -> Built {
    // The whole workspace selects the features, as in every other step. Nothing is compiled a second time.
    let mut build = cargo(["build", "--workspace", "--bin", "kit-host", "--bin", "kit-plugin"]);
    succeed(&mut build).map_err(Readiness::Broken)?;
    let toolchain = first_line(Command::new("rustc").arg("--version")).map_err(Readiness::Broken)?;
    Ok(binaries(&directory.with_file_name("debug"), toolchain))
}

fn go(directory: &Path) -> Built {
    let toolchain = Tool::Go.version().map_err(Readiness::Missing)?;
    let modules = [("tests/interop/go", "./cmd/..."), ("tests/interop/go-old", "./...")];
    let go = |module: &str, arguments: &[&str]| {
        let mut command = Command::new("go");
        command.args(arguments).current_dir(workspace::root().join(module));
        command
    };
    for (module, _) in modules {
        succeed(&mut go(module, &["mod", "download"]))
            .map_err(|why| Readiness::Missing(format!("the Go modules cannot be fetched: {why}")))?;
    }
    let programs = directory.join("go");
    for (module, packages) in modules {
        // With a separator at its end, the output is a directory.
        let output = programs.join("").display().to_string();
        succeed(&mut go(module, &["build", "-o", &output, packages])).map_err(Readiness::Broken)?;
    }
    Ok(binaries(&programs, toolchain))
}

fn binaries(directory: &Path, toolchain: String) -> Readiness {
    let program = |name: &str| vec![directory.join(name).with_extension(EXE_EXTENSION).into()];
    Readiness::Ready {
        programs: Programs { host: program("kit-host"), plugin: program("kit-plugin") },
        toolchain,
    }
}

fn python(directory: &Path) -> Built {
    let toolchain = Tool::Python.version().map_err(Readiness::Missing)?;
    let sources = workspace::root().join("tests/interop/python");
    let environment = directory.join("python");
    let interpreter = environment.join(if cfg!(windows) { "Scripts/python.exe" } else { "bin/python" });
    let broken = |error: io::Error| Readiness::Broken(error.to_string());
    let wanted = fs::read_to_string(sources.join("requirements.txt")).map_err(broken)?;
    // Written last, so that an unfinished environment is made again.
    let installed = environment.join("installed.txt");
    if fs::read_to_string(&installed).ok().as_ref() != Some(&wanted) {
        let mut create = Command::new("python3");
        create.args(["-m", "venv", "--clear"]).arg(&environment);
        let mut install = Command::new(&interpreter);
        install.args("-m pip install --quiet --disable-pip-version-check -r requirements.txt".split(' '));
        for command in [&mut create, install.current_dir(&sources)] {
            succeed(command)
                .map_err(|why| Readiness::Missing(format!("the Python environment cannot be made: {why}")))?;
        }
        fs::write(&installed, wanted).map_err(broken)?;
    }
    let program = |name: &str| vec![interpreter.clone().into(), sources.join(name).into()];
    let programs = Programs { host: program("kit_host.py"), plugin: program("kit_plugin.py") };
    Ok(Readiness::Ready { programs, toolchain })
}

/// Certificates for one run: a directory for each kind of keys, or the reason why it could not be made.
pub(super) type Certificates = BTreeMap<&'static str, Result<PathBuf, String>>;

/// Has the Go host make certificates with keys of this kind. It can make every kind of the matrix, and ring cannot.
pub(super) fn certificates(keys: &str, peers: &Peers, directory: &Path) -> Result<PathBuf, String> {
    let failed = |why: &str| format!("the Go host makes the certificates: {why}");
    let programs = match peers.get(&Language::Go) {
        Some(Readiness::Ready { programs, .. }) => programs,
        Some(Readiness::Missing(why) | Readiness::Broken(why)) => return Err(failed(why)),
        None => return Err(failed("it was not built")),
    };
    let made = directory.join("certificates").join(keys);
    let mut command = Command::new(&programs.host[0]);
    let output = command.args(["certs", "--keys", keys]).arg(&made).output();
    let output = output.map_err(|error| error.to_string())?;
    if output.status.success() { Ok(made) } else { Err(failed(&String::from_utf8_lossy(&output.stderr))) }
}
