//! `rpcplugin tap install` and `rpcplugin tap uninstall`: a script in the place of a plugin, which starts the plugin behind a tap.

use std::{
    fs, io,
    io::Write as _,
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand};
use miette::{IntoDiagnostic as _, WrapErr as _};
use serde_json::json;
use tempfile::NamedTempFile;

use super::options::TapOptions;
use crate::{
    error::{CommandError, UsageError},
    exit::Exit,
    os::is_program,
    ui::{Out, shell_word::shell_quoted},
};

/// What is done with a plugin that is not started now.
#[derive(Debug, Subcommand)]
pub(super) enum TapAction {
    /// Puts a tap in front of a plugin, for hosts that find the plugin by its path.
    Install(Box<InstallArgs>),
    /// Restores a plugin that `tap install` has moved aside.
    Uninstall(UninstallArgs),
}

/// Puts a tap in front of a plugin: moves the program aside, and writes a script in its place that starts it behind a tap with these
/// options. With --json the tap writes JSON.
#[derive(Debug, Args)]
pub(super) struct InstallArgs {
    #[command(flatten)]
    options: TapOptions,
    /// The program of the plugin.
    #[arg(value_name = "PATH")]
    program: PathBuf,
}

/// Restores a plugin that `rpcplugin tap install` has moved aside.
#[derive(Debug, Args)]
pub(super) struct UninstallArgs {
    /// The script in the place of the plugin.
    #[arg(value_name = "PATH")]
    program: PathBuf,
}

pub(super) fn run(action: &TapAction, out: &mut Out) -> Result<Exit, CommandError> {
    match action {
        TapAction::Install(args) => install(args, out),
        TapAction::Uninstall(args) => uninstall(&args.program, out),
    }
}

fn install(args: &InstallArgs, out: &mut Out) -> Result<Exit, CommandError> {
    let Place { program, aside } = Place::of(&args.program)?;
    let shown = program.display();
    if is_tap(&program) {
        return Err(refused(format!("{shown} is a tap already"), "run `rpcplugin tap uninstall` before"));
    }
    if !cfg!(unix) || !is_program(&program) {
        return Err(refused(
            format!("{shown} is not a program that a script can stand for"),
            "name the plugin's program",
        ));
    }
    if fs::symlink_metadata(&aside).is_ok() {
        let help = format!("look at {}, and move one of the two away", aside.display());
        return Err(refused(format!("another program was moved aside from {shown}"), &help));
    }
    args.options.schema.read()?;
    let failed = || format!("no tap can be put in front of {shown}");
    let script = script(&args.options, out.is_json(), &aside).into_diagnostic().wrap_err_with(failed)?;
    put(&program, &aside, &script).into_diagnostic().wrap_err_with(failed)?;
    match out.is_json() {
        true => out.json(&json!({ "tap": program, "program": aside })),
        false => out.line(format!("{shown} is a tap now, and starts {}", aside.display())),
    }
    Ok(Exit::Ok)
}

fn uninstall(path: &Path, out: &mut Out) -> Result<Exit, CommandError> {
    let Place { program, aside } = Place::of(path)?;
    let shown = program.display();
    if !is_tap(&program) {
        return Err(refused(
            format!("{shown} is not a tap"),
            "name the path that `rpcplugin tap install` was given",
        ));
    }
    fs::rename(&aside, &program)
        .into_diagnostic()
        .wrap_err_with(|| format!("{} cannot be moved back to {shown}", aside.display()))?;
    match out.is_json() {
        true => out.json(&json!({ "program": program })),
        false => out.line(format!("{shown} is the plugin again")),
    }
    Ok(Exit::Ok)
}

fn refused(message: String, help: &str) -> CommandError {
    UsageError::new(message, help).into()
}

/// The path of a plugin, and the path of its program behind a tap.
struct Place {
    program: PathBuf,
    aside: PathBuf,
}

impl Place {
    fn of(path: &Path) -> Result<Self, CommandError> {
        let program = std::path::absolute(path).into_diagnostic()?;
        let Some(name) = program.file_name() else {
            return Err(refused(format!("{} is not a file", path.display()), "name the plugin's program"));
        };
        // In the same directory, with what stands beside a program. Hidden, because hosts look for programs by the beginning of their names.
        let mut hidden = std::ffi::OsString::from(".");
        hidden.push(name);
        hidden.push(".tapped");
        Ok(Self { aside: program.with_file_name(hidden), program })
    }
}

/// Whether a file is a script of `tap install`.
fn is_tap(program: &Path) -> bool {
    fs::read(program).is_ok_and(|script| script.starts_with(BEGINNING.as_bytes()))
}

/// Returns the script in the place of a plugin.
fn script(options: &TapOptions, json: bool, aside: &Path) -> io::Result<String> {
    let mut words = vec![text(&std::env::current_exe()?)?, "tap".to_owned()];
    words.extend(json.then(|| "--json".to_owned()));
    words.extend(options.words()?.iter().map(|word| text(Path::new(word))).collect::<io::Result<Vec<_>>>()?);
    words.extend(["--".to_owned(), text(aside)?]);
    let words: Vec<String> = words.iter().map(|word| shell_quoted(word)).collect();
    Ok(format!("{BEGINNING}exec {} \"$@\"\n", words.join(" ")))
}

fn text(word: &Path) -> io::Result<String> {
    let text = word.to_str().map(str::to_owned);
    text.ok_or_else(|| io::Error::other(format!("{} is not valid UTF-8", word.display())))
}

/// Moves the program aside, and writes the script in its place, with the same permissions.
fn put(program: &Path, aside: &Path, script: &str) -> io::Result<()> {
    let dir = program.parent().unwrap_or_else(|| Path::new("/"));
    let mut file = NamedTempFile::new_in(dir)?;
    file.write_all(script.as_bytes())?;
    file.as_file().sync_all()?;
    fs::set_permissions(file.path(), fs::metadata(program)?.permissions())?;
    // Closed, because a program that is open for writing cannot be started.
    let file = file.into_temp_path();
    fs::rename(program, aside)?;
    let put = file.persist_noclobber(program).map_err(|error| error.error);
    if put.is_err() {
        // Best effort: the error says what happened.
        let _ = fs::rename(aside, program);
    }
    put
}

/// The first lines of each script.
const BEGINNING: &str =
    "#!/bin/sh\n# Written by `rpcplugin tap install`. `rpcplugin tap uninstall` restores the program.\n";
