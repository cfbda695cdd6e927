//! The system calls that a confined plugin was denied, by the program `strace`.

mod call;

use std::{
    ffi::OsString,
    fs, io,
    path::{Path, PathBuf},
};

use rpcplugin::{
    host::ProgramFile,
    sandbox::{Sandbox, SystemCalls},
};
use tempfile::TempDir;

use super::denials::Denials;

/// The program `strace`, which runs in the plugin's sandbox, starts the plugin and records the calls that fail.
#[derive(Debug)]
pub(crate) struct Strace {
    program: PathBuf,
    dir: TempDir,
}

/// What is started in place of the plugin.
#[derive(Debug)]
pub(crate) struct Traced {
    pub(crate) program: PathBuf,
    pub(crate) args: Vec<OsString>,
    pub(crate) sandbox: Sandbox,
}

impl Strace {
    /// Looks for `strace`. `None` if it is not installed.
    ///
    /// # Errors
    /// The directory for the trace cannot be made.
    pub(crate) fn find() -> io::Result<Option<Self>> {
        let program = ProgramFile::find(Path::new("strace"));
        if !program.is_absolute() {
            return Ok(None);
        }
        let dir = tempfile::Builder::new().prefix("rpcplugin-").tempdir()?;
        Ok(Some(Self { program, dir }))
    }

    /// Returns what to start so that the plugin is traced. `strace` runs in the plugin's sandbox, so that it can do no more: the
    /// sandbox also allows `strace` itself, tracing, and writing the trace.
    pub(crate) fn around(&self, plugin: &Path, args: &[OsString], sandbox: &Sandbox) -> Traced {
        let plugin = ProgramFile::find(plugin);
        let plugin = std::path::absolute(&plugin).unwrap_or(plugin);
        let sandbox = sandbox.clone().allow(SystemCalls::Debugging).write(self.dir.path()).execute(&plugin);
        let sandbox = interpreter(&plugin).into_iter().fold(sandbox, Sandbox::execute);
        let own = ["-f", "-Z", "-qqq", "-y", "-s", "4096", "-e", CALLS, "-e", "signal=none", "-o"];
        let args = own
            .map(OsString::from)
            .into_iter()
            .chain([self.file().into_os_string(), "--".into(), plugin.into_os_string()])
            .chain(args.iter().cloned())
            .collect();
        Traced { program: self.program.clone(), args, sandbox }
    }

    /// Adds what was denied until now.
    pub(crate) fn read(&self, sandbox: &Sandbox, denials: &mut Denials) {
        let trace = fs::read(self.file()).unwrap_or_default();
        for line in String::from_utf8_lossy(&trace).lines() {
            // The plugin could write into this file too: what it holds is shown and not trusted.
            call::add(line, sandbox, denials);
        }
    }

    fn file(&self) -> PathBuf {
        self.dir.path().join("trace")
    }
}

/// The programs in the first line of a script: the interpreter, and the one that `env` looks up.
fn interpreter(file: &Path) -> Vec<PathBuf> {
    let start = fs::read(file).unwrap_or_default();
    let Some(line) = start.strip_prefix(b"#!").and_then(|rest| rest.split(|byte| *byte == b'\n').next())
    else {
        return Vec::new();
    };
    let line = String::from_utf8_lossy(line).into_owned();
    let mut words = line.split_whitespace();
    let Some(first) = words.next() else { return Vec::new() };
    let looked_up =
        words.next().filter(|_| first.ends_with("/env")).map(|name| ProgramFile::find(Path::new(name)));
    [PathBuf::from(first)].into_iter().chain(looked_up).filter(|path| path.exists()).collect()
}

/// The traced calls: files, the network, and those that a group of `--allow-calls` allows.
const CALLS: &str = "trace=%file,%net,?io_uring_setup,ptrace,unshare,setns,?fchmodat2,?keyctl,?bpf,?perf_event_open,?userfaultfd,\
                     kill,tgkill,?pidfd_send_signal";
