//! `rpcplugin new`: creates a project with a plugin and its host.

mod name;
mod repository;
mod source;
mod templates;

use std::{
    fs,
    path::{Path, PathBuf},
};

use clap::Args;
use miette::IntoDiagnostic as _;
use serde_json::json;

use self::{
    name::Name,
    repository::Vcs,
    source::Source,
    templates::{IGNORE, Project},
};
use crate::{
    error::{CommandError, UsageError},
    exit::Exit,
    ui::{Out, style},
};

/// Creates a workspace with a plugin, its host and their protocol. It builds and passes its tests.
#[derive(Debug, Args)]
pub(crate) struct NewArgs {
    /// The directory to create, or `.` for this one. It may have hidden files, and no others.
    #[arg(value_name = "DIR")]
    path: PathBuf,
    /// Sets the name of the project. Default: the last part of the directory.
    #[arg(long)]
    name: Option<String>,
    /// Begins a repository, unless the directory is in one already.
    #[arg(long, value_name = "SYSTEM", default_value = "git")]
    vcs: Vcs,
    /// Uses a checkout of rpcplugin. Default: what this program was built from.
    #[arg(long, value_name = "DIR")]
    path_to_rpcplugin: Option<PathBuf>,
}

/// What was created.
struct Created {
    name: Name,
    source: Source,
    files: Vec<String>,
    has_begun_repository: bool,
}

/// Writes the project. Existing files are not overwritten.
pub(crate) async fn run(args: &NewArgs, out: &mut Out) -> Result<Exit, CommandError> {
    let name = match &args.name {
        Some(name) => Name::parse(name)?,
        None => Name::parse(&last_part(&args.path))?,
    };
    let source = match &args.path_to_rpcplugin {
        Some(dir) => Source::given(dir)?,
        None => Source::of_this_program()?,
    };
    check_is_free(&args.path)?;
    let project = Project::new(&name, &source);
    let mut files = Vec::new();
    for (path, content) in project.files() {
        if path != IGNORE {
            write(&args.path.join(&path), &content)?;
            files.push(path);
        } else if args.vcs == Vcs::Git && extend_ignore(&args.path.join(&path), &content)? {
            files.push(path);
        }
    }
    let has_begun_repository = args.vcs == Vcs::Git && repository::begin(&args.path).await?;
    let created = Created { name, source, files, has_begun_repository };
    if out.is_json() {
        out.json(&json!({
            "name": created.name.kebab(),
            "path": args.path,
            "files": created.files,
            "rpcplugin": created.source.to_string(),
            "repository": created.has_begun_repository,
        }));
    } else {
        print_summary(&args.path, &created, out);
    }
    Ok(Exit::Ok)
}

fn print_summary(path: &Path, created: &Created, out: &mut Out) {
    let Created { name, source, files, has_begun_repository } = created;
    let is_here =
        path.canonicalize().is_ok_and(|path| Path::new(".").canonicalize().is_ok_and(|here| here == path));
    let place = if is_here { "this directory".to_owned() } else { format!("{}/", path.display()) };
    if last_part(path) == name.kebab() && !is_here {
        out.line(format_args!("Created {}", style::strong(&place)));
    } else {
        out.line(format_args!("Created {} in {place}", style::strong(name.kebab())));
    }
    for file in files {
        out.line(format_args!("  {file}"));
    }
    let repository = if *has_begun_repository { " A git repository has begun." } else { "" };
    out.line(style::dim(format!("It depends on {source}.{repository}")));
    out.line("\nNext:");
    if !is_here {
        out.line(format_args!("  cd {}", path.display()));
    }
    out.line(format_args!(
        "  cargo test\n  cargo run -p {name}-host -- target/debug/{name}-plugin Ada Grace",
        name = name.kebab(),
    ));
}

/// Returns the last part of a path. For a path such as `.` this is the name of the directory that it leads to.
fn last_part(path: &Path) -> String {
    let full = path.canonicalize().or_else(|_| std::path::absolute(path)).unwrap_or_else(|_| path.to_owned());
    full.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// Refuses a file, and a directory with files other than hidden ones.
fn check_is_free(path: &Path) -> Result<(), UsageError> {
    let shown = path.display();
    if path.exists() && !path.is_dir() {
        return Err(UsageError::new(format!("{shown} is not a directory"), "choose another directory"));
    }
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    let mut visible =
        entries.map(|entry| entry.file_name()).filter(|name| !name.to_string_lossy().starts_with('.'));
    match visible.next() {
        None => Ok(()),
        Some(first) => Err(UsageError::new(
            format!("{shown} has files already, among them {}", first.display()),
            "choose another directory, or move its files away",
        )),
    }
}

fn write(file: &Path, content: &str) -> Result<(), CommandError> {
    if let Some(dir) = file.parent() {
        fs::create_dir_all(dir).into_diagnostic()?;
    }
    Ok(fs::write(file, content).into_diagnostic()?)
}

/// Adds lines to the list of files that git ignores, unless it has them. Returns whether the list has changed.
fn extend_ignore(file: &Path, lines: &str) -> Result<bool, CommandError> {
    let old = fs::read_to_string(file).unwrap_or_default();
    let missing: String = lines
        .lines()
        .filter(|line| !old.lines().any(|old| old.trim_end() == *line))
        .map(|line| format!("{line}\n"))
        .collect();
    if missing.is_empty() {
        return Ok(false);
    }
    let end = if old.is_empty() || old.ends_with('\n') { "" } else { "\n" };
    write(file, &format!("{old}{end}{missing}"))?;
    Ok(true)
}
