//! Programs from the Go module proxy and from Debian, each below `target/third-party`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::entry::{Entry, Source};
use crate::leaks;

/// How long one step of a build may take.
const LIMIT: Duration = Duration::from_secs(30 * 60);

/// The module whose version the page shows.
const GO_PLUGIN: &str = "github.com/hashicorp/go-plugin";

/// A program that is ready to run.
pub(super) struct Built {
    pub(super) program: PathBuf,
    /// The directory of its build.
    pub(super) directory: PathBuf,
    /// The sources of the module that describes its services, or the files of its packages.
    pub(super) source: PathBuf,
    pub(super) version: String,
    /// The version of go-plugin in it.
    pub(super) go_plugin: Option<String>,
}

/// Builds a program, unless it is there in this version. Returns why it cannot be built, in a few words.
pub(super) fn build(entry: &Entry, root: &Path) -> Result<Built, String> {
    let directory = root.join("build").join(entry.name);
    fs::create_dir_all(&directory).map_err(|error| error.to_string())?;
    match &entry.source {
        Source::Go { module, version, package, described_in, replace } => {
            let package =
                if package.is_empty() { (*module).to_owned() } else { format!("{module}/{package}") };
            let program = root.join("bin").join(entry.name);
            let go = Go { directory: &directory };
            if !is_there(&program, &directory, version) {
                go.build(module, version, &package, replace, &program)?;
                done(&directory, version)?;
            }
            let go_plugin = go.version_of_go_plugin(&program)?;
            let source = go.source(if described_in.is_empty() { module } else { described_in })?;
            let version = (*version).to_owned();
            Ok(Built { program, directory, source, version, go_plugin })
        }
        Source::Debian { packages, file } => {
            let source = directory.join("root");
            let program = source.join(file);
            if !program.exists() {
                packages.iter().try_for_each(|package| debian(package, &directory))?;
            }
            let archive = archive(&directory, packages[0])?;
            let field = |name: &str| output(Command::new("dpkg-deb").arg("-f").arg(&archive).arg(name));
            let go_plugin = field("Built-Using")?;
            let go_plugin = go_plugin
                .split("golang-github-hashicorp-go-plugin (= ")
                .nth(1)
                .and_then(|rest| rest.split(')').next())
                .map(|version| format!("{version} (Debian)"));
            let version = format!("{} (Debian)", field("Version")?);
            Ok(Built { program, directory, source, version, go_plugin })
        }
    }
}

/// The file that says which version was built. It is written last.
const STAMP: &str = "version.txt";

fn is_there(program: &Path, directory: &Path, version: &str) -> bool {
    program.exists() && fs::read_to_string(directory.join(STAMP)).is_ok_and(|built| built == version)
}

fn done(directory: &Path, version: &str) -> Result<(), String> {
    fs::write(directory.join(STAMP), version).map_err(|error| error.to_string())
}

/// The Go toolchain in a module of its own, whose only dependency is the program.
struct Go<'a> {
    directory: &'a Path,
}

impl Go<'_> {
    fn build(
        &self,
        module: &str,
        version: &str,
        package: &str,
        replace: &[&str],
        program: &Path,
    ) -> Result<(), String> {
        for left in ["go.mod", "go.sum"] {
            let _ = fs::remove_file(self.directory.join(left));
        }
        self.run("init", &["mod", "init", "third-party"])?;
        for replaced in replace {
            self.run("replace", &["mod", "edit", "-replace", replaced])?;
        }
        // `go install` refuses a module that replaces others, and a path that differs from the declared one.
        self.run("get", &["get", &format!("{package}@{version}"), &format!("{module}@{version}")])?;
        self.run("build", &["build", "-p", "2", "-o", &program.display().to_string(), package])
    }

    fn run(&self, step: &str, arguments: &[&str]) -> Result<(), String> {
        let mut command = Command::new("go");
        command.args(arguments).current_dir(self.directory).env("GOFLAGS", "-trimpath -buildvcs=false");
        let ended = leaks::run(&mut command, step, &self.directory.join("logs"), LIMIT);
        let ended = ended.map_err(|error| error.to_string())?;
        match ended.status {
            Ok(Some(status)) if status.success() => Ok(()),
            Ok(Some(_)) => Err(reason(&fs::read_to_string(ended.stderr).unwrap_or_default())),
            Ok(None) => Err(format!("go {step} took longer than {} minutes", LIMIT.as_secs() / 60)),
            Err(error) => Err(format!("go cannot be started: {error}")),
        }
    }

    /// The directory in which Go keeps the sources of a module.
    fn source(&self, module: &str) -> Result<PathBuf, String> {
        let list = ["list", "-mod=mod", "-m", "-f", "{{.Dir}}", module];
        Ok(output(Command::new("go").args(list).current_dir(self.directory))?.into())
    }

    /// Reads the version of go-plugin out of the program.
    fn version_of_go_plugin(&self, program: &Path) -> Result<Option<String>, String> {
        let modules = output(Command::new("go").args(["version", "-m"]).arg(program))?;
        Ok(version_in(&modules, GO_PLUGIN))
    }
}

/// The version of a module in the output of `go version -m`.
fn version_in(modules: &str, module: &str) -> Option<String> {
    let mut lines = modules.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    lines.find_map(|words| match words.as_slice() {
        ["dep" | "mod", path, version, ..] if *path == module => Some((*version).to_owned()),
        _ => None,
    })
}

/// The line of Go's output that names the cause, without what changes from run to run.
fn reason(stderr: &str) -> String {
    let noise = |line: &&str| {
        let line = line.trim();
        line.is_empty()
            || ["go: downloading", "go: added", "go: upgraded", "go: creating"]
                .iter()
                .any(|start| line.starts_with(start))
    };
    let last = stderr.lines().rfind(|line| !noise(line)).unwrap_or("no reason was printed");
    without_addresses(last.trim().trim_start_matches("server response: ")).chars().take(160).collect()
}

/// A line whose addresses of servers are left out, because each machine may have another proxy or mirror.
fn without_addresses(line: &str) -> String {
    let word = |word: &str| {
        let is_address =
            ["http://", "https://"].iter().any(|start| word.trim_matches('"').starts_with(start));
        match is_address {
            true if word.ends_with(':') => "(address):".to_owned(),
            true => "(address)".to_owned(),
            false => word.to_owned(),
        }
    };
    line.split_whitespace().map(word).collect::<Vec<_>>().join(" ")
}

/// Fetches a package and unpacks it. Nothing of it is installed, and no service starts.
fn debian(package: &str, directory: &Path) -> Result<(), String> {
    output(Command::new("apt-get").args(["download", package]).current_dir(directory))?;
    let archive = archive(directory, package)?;
    output(Command::new("dpkg-deb").arg("-x").arg(archive).arg(directory.join("root")))?;
    Ok(())
}

fn archive(directory: &Path, package: &str) -> Result<PathBuf, String> {
    let files = fs::read_dir(directory).map_err(|error| error.to_string())?;
    let mut files = files.flatten().map(|file| file.path());
    files
        .find(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            name.starts_with(&format!("{package}_")) && name.ends_with(".deb")
        })
        .ok_or_else(|| format!("apt-get fetched no package {package}"))
}

/// What a short command prints on stdout.
fn output(command: &mut Command) -> Result<String, String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|error| format!("{program} cannot be started: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(said
        .lines()
        .last()
        .map_or_else(|| format!("{program} ended with {}", output.status), without_addresses))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_of_a_module_is_found() {
        let modules = "kv: go1.26.8\n\tpath\tgithub.com/x/kv\n\tmod\tgithub.com/x/kv\tv1.2.0\th1:a\n\
                       \tdep\tgithub.com/hashicorp/go-plugin\tv1.7.0\th1:b\n";
        assert_eq!(version_in(modules, GO_PLUGIN).as_deref(), Some("v1.7.0"));
        assert_eq!(version_in(modules, "github.com/x/kv").as_deref(), Some("v1.2.0"));
        assert_eq!(version_in(modules, "github.com/x"), None);
    }

    #[test]
    fn the_reason_is_the_last_line_that_says_something() {
        let stderr = "go: downloading a v1\ngo: a@v1: reading a.mod: 403 Forbidden\n\tserver response: not available\n\n";
        assert_eq!(reason(stderr), "not available");
        assert_eq!(reason(""), "no reason was printed");
    }

    #[test]
    fn a_reason_has_no_address_of_a_server() {
        let stderr = "go: a@v1: reading https://proxy.example/a/@v/v1.mod: 403 Forbidden\n";
        assert_eq!(reason(stderr), "go: a@v1: reading (address): 403 Forbidden");
        let stderr = "go: a@v1: Get \"http://10.0.0.1:8081/a/@v/v1.mod\": EOF";
        assert_eq!(reason(stderr), "go: a@v1: Get (address): EOF");
        let stderr = "E: Failed to fetch http://mirror.example/pool/a.deb  404  Not Found";
        assert_eq!(reason(stderr), "E: Failed to fetch (address) 404 Not Found");
    }
}
