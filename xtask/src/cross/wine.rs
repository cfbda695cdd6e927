//! Wine, which runs Windows programs here.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use super::tools::{MINGW, Tools};
use crate::workspace::{Outcome, succeed};

/// The program of Debian's `wine64`.
pub(super) const PROGRAM: &str = "/usr/lib/wine/wine64";

/// A Windows of its own below the target directory, and a program in it that keeps its services running. Dropping this
/// ends both.
pub(super) struct Wine {
    prefix: PathBuf,
    keeper: Child,
}

impl Wine {
    pub(super) fn start(tools: &Tools) -> Outcome<Self> {
        let prefix = tools.directory.join("wine");
        let environment = environment(&prefix);
        succeed(Command::new(PROGRAM).args(["wineboot", "--init"]).envs(environment.clone()))?;
        let system = prefix.join("drive_c/windows/system32");
        // Wine 8 lacks the library from which Rust's standard library has its random numbers.
        let source = tools.directory.join("bcryptprimitives.c");
        fs::write(&source, RANDOM)?;
        let mut stub = Command::new(MINGW);
        stub.arg("-shared").arg("-o").arg(system.join("bcryptprimitives.dll")).arg(&source).arg("-ladvapi32");
        succeed(&mut stub)?;
        let mut keeper = Command::new(PROGRAM);
        keeper.arg("cmd.exe").envs(environment).stdin(Stdio::piped());
        let keeper = keeper.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        Ok(Self { prefix, keeper })
    }

    pub(super) fn environment(&self) -> Vec<(&'static str, String)> {
        environment(&self.prefix)
    }

    /// Fails if a program has left a directory for sockets in the temporary directory.
    pub(super) fn check_leftovers(&self) -> Outcome {
        let mut left = Vec::new();
        for user in fs::read_dir(self.prefix.join("drive_c/users"))? {
            for temporary in ["AppData/Local/Temp", "Temp"] {
                for entry in fs::read_dir(user.as_ref().map_err(ToString::to_string)?.path().join(temporary))
                    .into_iter()
                    .flatten()
                {
                    let name = entry?.file_name().to_string_lossy().into_owned();
                    left.extend(name.starts_with("rpcplugin-").then_some(name));
                }
            }
        }
        if left.is_empty() { Ok(()) } else { Err(format!("left behind: {}", left.join(", ")).into()) }
    }
}

impl Drop for Wine {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
        // The services end when the last program has ended.
        let _ = Command::new("/usr/lib/wine/wineserver64").arg("-w").envs(self.environment()).status();
    }
}

fn environment(prefix: &std::path::Path) -> Vec<(&'static str, String)> {
    // Neither messages of Wine, nor questions about packages that no program here needs.
    let overrides = "mscoree=;mshtml=;winemenubuilder.exe=";
    [("WINEPREFIX", &*prefix.display().to_string()), ("WINEDEBUG", "-all"), ("WINEDLLOVERRIDES", overrides)]
        .map(|(name, value)| (name, value.to_owned()))
        .into()
}

const RANDOM: &str = "#include <windows.h>\nBOOLEAN NTAPI SystemFunction036(PVOID, ULONG);\n\
    __declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE p, SIZE_T n) { return SystemFunction036(p, (ULONG)n); }\n";
