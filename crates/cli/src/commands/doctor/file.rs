//! The plugin's file, before anything is started.

use std::{
    fs,
    io::{self, ErrorKind},
    path::{Path, PathBuf},
};

use rpcplugin::{Obstacle, ProgramFile};

use super::record::{Cause, Record};
use crate::{os, plugin_args::LaunchArgs};

/// Looks at the file. What comes back is an obstacle that need not be one: some machines run programs of others.
pub(super) fn examine(launch: &LaunchArgs, record: &mut Record<'_>) -> Result<Option<Obstacle>, Cause> {
    let path = found(&launch.program)?;
    record.ok("file", path.display().to_string());
    permission(&path, record)?;
    if let Some(dir) = &launch.dir {
        if !dir.is_dir() {
            let seen = format!("there is no directory {} to start it in", dir.display());
            return Err(Cause::new("directory", seen, "make the directory, or name another one with --dir"));
        }
        record.ok("directory", dir.display().to_string());
    }
    format(&path, record)
}

fn found(program: &Path) -> Result<PathBuf, Cause> {
    let path = ProgramFile::find(program);
    let metadata = match fs::metadata(&path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            let closed = path.ancestors().skip(1).find(|dir| !os::is_executable_by_this_user(dir));
            let closed = closed.unwrap_or(&path).display().to_string();
            let seen = format!("this user may not enter {closed}");
            return Err(Cause::new("file", seen, format!("allow it: chmod +x {closed}")));
        }
        Err(error) => return Err(astray(&path, &error).unwrap_or_else(|| missing(program, &path))),
    };
    let kind = metadata.file_type();
    let what = match () {
        () if kind.is_file() => return Ok(path),
        () if kind.is_dir() => {
            let advice = match programs_in(&path).as_slice() {
                [] => "name the plugin's program, not its directory".to_owned(),
                some => format!("name the plugin's program in it: {}", some.join(", ")),
            };
            return Err(Cause::new("file", format!("{} is a directory", path.display()), advice));
        }
        () => os::special_kind(kind),
    };
    let seen = format!("{} is {what}, not a program", path.display());
    Err(Cause::new("file", seen, "name the plugin's program"))
}

/// A link that leads nowhere.
fn astray(path: &Path, error: &io::Error) -> Option<Cause> {
    let target = fs::read_link(path).ok()?.display().to_string();
    let path = path.display();
    let seen = if os::is_link_loop(error) {
        format!("{path} is a link to {target}, and that leads back to it")
    } else {
        format!("{path} is a link to {target}, and that is not there")
    };
    Some(Cause::new("file", seen, "make the link anew (ln -sfn), or name the program itself"))
}

fn missing(program: &Path, path: &Path) -> Cause {
    if path.is_relative() {
        let seen = format!("no directory in PATH has an executable file {}", program.display());
        let here = program.exists();
        let advice = if here {
            format!("it is in the working directory: write ./{}", program.display())
        } else {
            "give the path of the plugin's program".to_owned()
        };
        return Cause::new("file", seen, advice);
    }
    let there = path.ancestors().skip(1).find(|dir| dir.is_dir());
    let parent = path.parent().filter(|parent| !parent.is_dir());
    let seen = match parent {
        Some(parent) => format!("there is no directory {}", parent.display()),
        None => format!("there is no file {}", path.display()),
    };
    let advice = match (there.map(programs_in).unwrap_or_default().as_slice(), parent) {
        ([_, ..], None) => {
            let some = there.map(programs_in).unwrap_or_default();
            format!("check the path; its directory has these programs: {}", some.join(", "))
        }
        _ => "check the path: it is taken relative to the working directory; or build the plugin first"
            .to_owned(),
    };
    Cause::new("file", seen, advice)
}

/// A few programs in a directory, by their names.
fn programs_in(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let runs = |entry: &fs::DirEntry| {
        entry.metadata().is_ok_and(|file| file.is_file() && os::mode(&file) & 0o111 != 0)
    };
    let mut names: Vec<_> =
        entries.filter(runs).map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names.truncate(5);
    names
}

fn permission(path: &Path, record: &mut Record<'_>) -> Result<(), Cause> {
    let mode = fs::metadata(path).map_or(0, |file| os::mode(&file));
    if os::is_executable_by_this_user(path) {
        record.ok("permission", format!("mode {mode:04o}: this user may execute it"));
        return Ok(());
    }
    // A text that nobody may execute is rather the wrong file than one with the wrong mode.
    if let Ok(file) = ProgramFile::of(path)
        && let Some(obstacle @ (Obstacle::Empty | Obstacle::NoProgram)) = file.obstacle()
    {
        return Err(no_program(path, &obstacle));
    }
    let path = path.display();
    Err(match mode & 0o111 {
        0 => {
            let advice = format!("chmod +x {path}");
            Cause::new("permission", format!("mode {mode:04o}: nobody may execute it"), advice)
        }
        _ => Cause::new(
            "permission",
            format!("mode {mode:04o}: this user may not execute it"),
            format!("chmod a+x {path}; if that does not help, its file system may be mounted with noexec"),
        ),
    })
}

fn format(path: &Path, record: &mut Record<'_>) -> Result<Option<Obstacle>, Cause> {
    let file = match ProgramFile::of(path) {
        Ok(file) => file,
        Err(error) => {
            record.doubt("format", format!("it cannot be read: {error}"), "");
            return Ok(None);
        }
    };
    match file.obstacle() {
        None => {
            record.ok("format", file.to_string());
            Ok(None)
        }
        // An emulator may be there.
        Some(obstacle @ (Obstacle::OtherArchitecture { .. } | Obstacle::OtherSystem { .. })) => {
            Ok(Some(obstacle))
        }
        Some(obstacle) => Err(no_program(path, &obstacle)),
    }
}

/// A file that cannot be run by itself. Its name may tell what can run it.
fn no_program(path: &Path, obstacle: &Obstacle) -> Cause {
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    let name = path.display();
    let advice = match (obstacle, extension) {
        (Obstacle::NoProgram, "py") => format!("name its interpreter before it: `-- python3 {name}`"),
        (Obstacle::NoProgram, "js" | "mjs") => format!("name its interpreter before it: `-- node {name}`"),
        (Obstacle::NoProgram, "rb") => format!("name its interpreter before it: `-- ruby {name}`"),
        (Obstacle::NoProgram, "jar") => format!("name its interpreter before it: `-- java -jar {name}`"),
        (Obstacle::NoProgram, "go" | "rs" | "c" | "cc" | "cpp" | "java" | "ts" | "cs") => {
            "it is source code: build it, and name the program that comes of it".to_owned()
        }
        _ => obstacle.advice().to_owned(),
    };
    Cause::new("format", obstacle.to_string(), advice)
}
