//! The plugin's file: its path, permissions and format.

use std::{
    fs,
    io::{self, ErrorKind},
    path::{Path, PathBuf},
};

use rpcplugin::host::{Obstacle, ProgramFile};

use super::record::{Fault, Record};
use crate::{
    os::{self, Access},
    plugin_args::LaunchArgs,
};

/// Examines the file. Returns an obstacle that may not be one: an emulator can run programs for another machine.
pub(super) fn examine(launch: &LaunchArgs, record: &mut Record<'_>) -> Result<Option<Obstacle>, Fault> {
    let path = found(launch.program())?;
    record.ok("file", path.display().to_string());
    permission(&path, record)?;
    if let Some(dir) = &launch.dir {
        if !dir.is_dir() {
            let seen = format!("the working directory {} does not exist", dir.display());
            return Err(Fault::new(
                "directory",
                seen,
                "create the directory, or name another directory with --dir",
            ));
        }
        record.ok("directory", dir.display().to_string());
    }
    format(&path, record)
}

fn found(program: &Path) -> Result<PathBuf, Fault> {
    let path = ProgramFile::find(program);
    let metadata = match fs::metadata(&path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            let closed = path.ancestors().skip(1).find(|dir| !os::is_executable_by_this_user(dir));
            let closed = closed.unwrap_or(&path).display().to_string();
            let seen = format!("this user may not enter {closed}");
            return Err(Fault::new("file", seen, format!("run chmod +x {closed}")));
        }
        Err(error) => return Err(broken_link(&path, &error).unwrap_or_else(|| missing(program, &path))),
    };
    let kind = metadata.file_type();
    let what = match () {
        () if kind.is_file() => return Ok(path),
        () if kind.is_dir() => {
            let advice = match programs_in(&path).as_slice() {
                [] => "name the plugin's program, not its directory".to_owned(),
                some => format!("name a program in the directory: {}", some.join(", ")),
            };
            return Err(Fault::new("file", format!("{} is a directory", path.display()), advice));
        }
        () => os::special_kind(kind),
    };
    let seen = format!("{} is {what}, not a program", path.display());
    Err(Fault::new("file", seen, "name the plugin's program"))
}

/// Returns the fault of a symbolic link without a target.
fn broken_link(path: &Path, error: &io::Error) -> Option<Fault> {
    let target = fs::read_link(path).ok()?.display().to_string();
    let path = path.display();
    let seen = if os::is_link_loop(error) {
        format!("{path} is a link to {target}, which leads back to {path}")
    } else {
        format!("{path} is a link to {target}, which does not exist")
    };
    Some(Fault::new("file", seen, "fix the link with ln -sfn, or name the program itself"))
}

fn missing(program: &Path, path: &Path) -> Fault {
    if path.is_relative() {
        let seen = format!("no directory in PATH has an executable file {}", program.display());
        let here = program.exists();
        let advice = if here {
            format!("write ./{}: the file is in the working directory", program.display())
        } else {
            "give the path of the plugin's program".to_owned()
        };
        return Fault::new("file", seen, advice);
    }
    let there = path.ancestors().skip(1).find(|dir| dir.is_dir());
    let parent = path.parent().filter(|parent| !parent.is_dir());
    let seen = match parent {
        Some(parent) => format!("the directory {} does not exist", parent.display()),
        None => format!("the file {} does not exist", path.display()),
    };
    let advice = match (there.map(programs_in).unwrap_or_default().as_slice(), parent) {
        ([_, ..], None) => {
            let some = there.map(programs_in).unwrap_or_default();
            format!("check the path; the directory has these programs: {}", some.join(", "))
        }
        _ => {
            "check the path, which is relative to the working directory, or build the plugin first".to_owned()
        }
    };
    Fault::new("file", seen, advice)
}

/// Returns the names of up to five programs in a directory.
fn programs_in(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let programs = entries.filter(|entry| os::is_program(&entry.path()));
    let mut names: Vec<_> = programs.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names.truncate(5);
    names
}

fn permission(path: &Path, record: &mut Record<'_>) -> Result<(), Fault> {
    let Some(Access { mode, .. }) = fs::metadata(path).ok().and_then(|file| Access::of(&file)) else {
        record.ok("permission", "not checked: this system has no permission bits, the start shows it");
        return Ok(());
    };
    if os::is_executable_by_this_user(path) {
        record.ok("permission", format!("mode {mode:04o}: this user may execute it"));
        return Ok(());
    }
    // A text file without execute permission is probably the wrong file.
    if let Ok(file) = ProgramFile::of(path)
        && let Some(obstacle @ (Obstacle::Empty | Obstacle::NoProgram)) = file.obstacle()
    {
        return Err(no_program(path, &obstacle));
    }
    let path = path.display();
    Err(match mode & 0o111 {
        0 => {
            let advice = format!("run chmod +x {path}");
            Fault::new("permission", format!("mode {mode:04o}: no user may execute it"), advice)
        }
        _ => Fault::new(
            "permission",
            format!("mode {mode:04o}: this user may not execute it"),
            format!(
                "run chmod a+x {path}; if this does not help, the file system may be mounted with noexec"
            ),
        ),
    })
}

fn format(path: &Path, record: &mut Record<'_>) -> Result<Option<Obstacle>, Fault> {
    let file = match ProgramFile::of(path) {
        Ok(file) => file,
        Err(error) => {
            record.doubt("format", format!("the file cannot be read: {error}"), "");
            return Ok(None);
        }
    };
    match file.obstacle() {
        None => {
            record.ok("format", file.to_string());
            Ok(None)
        }
        // The machine may have an emulator.
        Some(obstacle @ (Obstacle::OtherArchitecture { .. } | Obstacle::OtherSystem { .. })) => {
            Ok(Some(obstacle))
        }
        Some(obstacle) => Err(no_program(path, &obstacle)),
    }
}

/// Returns the fault of a file that is not a program. Its extension may name the interpreter.
fn no_program(path: &Path, obstacle: &Obstacle) -> Fault {
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    let name = path.display();
    let advice = match (obstacle, extension) {
        (Obstacle::NoProgram, "py") => format!("name the interpreter before the file: `-- python3 {name}`"),
        (Obstacle::NoProgram, "js" | "mjs") => {
            format!("name the interpreter before the file: `-- node {name}`")
        }
        (Obstacle::NoProgram, "rb") => format!("name the interpreter before the file: `-- ruby {name}`"),
        (Obstacle::NoProgram, "jar") => {
            format!("name the interpreter before the file: `-- java -jar {name}`")
        }
        (Obstacle::NoProgram, "go" | "rs" | "c" | "cc" | "cpp" | "java" | "ts" | "cs") => {
            "build the source code, and name the resulting program".to_owned()
        }
        _ => obstacle.advice().to_owned(),
    };
    Fault::new("format", obstacle.to_string(), advice)
}
