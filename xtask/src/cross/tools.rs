//! The compilers for other systems.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::toolchain::{Tool, first_line};
use crate::workspace::{Outcome, Workspace, succeed};

/// The compiler of Debian's `rustc-web`, and the source of its standard library from `rust-web-src`.
const RUSTC: &str = "/usr/bin/rustc";
const SOURCE: &str = "/usr/lib/rustlib/src/rust/library";
/// The compiler of `gcc-mingw-w64-x86-64`.
pub(super) const MINGW: &str = "x86_64-w64-mingw32-gcc";
/// The package of the Python registry that has zig.
const ZIG: &str = "ziglang==0.15.2";

/// The compilers, ready for use.
pub(super) struct Tools {
    /// Where the programs and the tools are.
    pub(super) directory: PathBuf,
}

/// Why nothing can be compiled for other systems on this machine, or run there, if it cannot. Installs zig below the target
/// directory.
pub(crate) fn obstacle(only_compile: bool) -> Result<(), String> {
    let missing = |package: &str| format!("{package} is missing: it is a package of Debian (see .ci/run)");
    first_line(Command::new(RUSTC).arg("--version")).map_err(|_| missing("rustc-web"))?;
    first_line(Command::new(MINGW).arg("--version")).map_err(|_| missing("gcc-mingw-w64-x86-64"))?;
    if !Path::new(SOURCE).exists() {
        return Err(missing("rust-web-src"));
    }
    Tool::Python.version()?;
    if !only_compile {
        Tool::Go.version()?;
        Path::new(super::wine::PROGRAM).exists().then_some(()).ok_or_else(|| missing("wine64"))?;
    }
    install_zig().map_err(|why| format!("zig cannot be installed: {why}"))
}

fn install_zig() -> Outcome {
    let python = directory()?.join("python");
    if python.join(ZIG).exists() {
        return Ok(());
    }
    fs::create_dir_all(&python)?;
    succeed(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&python))?;
    let mut install = Command::new(python.join("bin/python"));
    succeed(install.args("-m pip install --quiet --disable-pip-version-check".split(' ')).arg(ZIG))?;
    Ok(fs::write(python.join(ZIG), "")?)
}

fn directory() -> Outcome<PathBuf> {
    Ok(Workspace::load()?.target.join("cross"))
}

/// Writes the programs by which cargo starts zig.
pub(super) fn prepare() -> Outcome<Tools> {
    let directory = directory()?;
    let python = directory.join("python");
    let tools = Tools { directory };
    let zig = format!("{} -m ziglang", python.join("bin/python").display());
    for (rust, zig_target) in [("aarch64", "aarch64-macos"), ("x86_64", "x86_64-macos")] {
        // cc-rs passes on what clang understands and zig does not.
        let filter = "for a; do shift; case $a in --target=*|-arch|arm64|x86_64|-mmacosx-version-min=*) ;; \
                      *) set -- \"$@\" \"$a\" ;; esac; done";
        tools
            .script(&format!("cc-{rust}"), &format!("{filter}\nexec {zig} cc -target {zig_target} \"$@\""))?;
    }
    tools.script("ar", &format!("exec {zig} ar \"$@\""))?;
    Ok(tools)
}

impl Tools {
    fn script(&self, name: &str, text: &str) -> Outcome {
        let file = self.directory.join(name);
        fs::write(&file, format!("#!/bin/sh\n{text}\n"))?;
        Ok(succeed(Command::new("chmod").arg("+x").arg(&file))?)
    }

    /// The variables by which cargo and build scripts find the compilers.
    pub(super) fn environment(&self) -> Vec<(String, PathBuf)> {
        let mut variables = vec![
            ("RUSTC".to_owned(), RUSTC.into()),
            // Lets a stable compiler build the standard library.
            ("RUSTC_BOOTSTRAP".to_owned(), "1".into()),
            ("CARGO_PROFILE_DEV_DEBUG".to_owned(), "0".into()),
        ];
        for machine in ["aarch64", "x86_64"] {
            let cc = self.directory.join(format!("cc-{machine}"));
            let linker = format!("CARGO_TARGET_{}_APPLE_DARWIN_LINKER", machine.to_uppercase());
            variables.push((format!("CC_{machine}_apple_darwin"), cc.clone()));
            variables.push((format!("AR_{machine}_apple_darwin"), self.directory.join("ar")));
            variables.push((linker, cc));
        }
        variables
    }
}
