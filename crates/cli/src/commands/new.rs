//! `rpcplugin new`: creates a project with a plugin and its host.

mod name;
mod templates;

use std::{fs, path::PathBuf};

use clap::Args;
use miette::IntoDiagnostic as _;
use serde_json::json;

use self::{name::Name, templates::Project};
use crate::{
    error::{CommandError, UsageError},
    exit::Exit,
    ui::{Out, style},
};

/// Creates a workspace with a plugin, its host and their protocol. It builds and passes its tests.
#[derive(Debug, Args)]
pub(crate) struct NewArgs {
    /// The directory to create. Its last part is the name of the project.
    #[arg(value_name = "NAME")]
    path: PathBuf,
    /// Uses a checkout of rpcplugin in place of the published crates.
    #[arg(long, value_name = "DIR")]
    path_to_rpcplugin: Option<PathBuf>,
}

/// Writes the project. Existing files are not overwritten.
pub(crate) async fn run(args: &NewArgs, out: &mut Out) -> Result<Exit, CommandError> {
    let name = Name::of(&args.path)?;
    let checkout = args.path_to_rpcplugin.as_ref().map(checkout).transpose()?;
    if fs::read_dir(&args.path).is_ok_and(|mut entries| entries.next().is_some()) || args.path.is_file() {
        let message = format!("{} already exists", args.path.display());
        return Err(UsageError::new(message, "choose another name, or remove the directory").into());
    }
    let project = Project::new(&name, checkout.as_deref());
    let mut written = Vec::new();
    for (path, content) in project.files() {
        let file = args.path.join(&path);
        if let Some(dir) = file.parent() {
            fs::create_dir_all(dir).into_diagnostic()?;
        }
        fs::write(&file, content).into_diagnostic()?;
        written.push(path);
    }
    if out.is_json() {
        out.json(&json!({ "name": name.kebab(), "path": args.path, "files": written }));
    } else {
        print_summary(args, &name, &written, out);
    }
    Ok(Exit::Ok)
}

fn print_summary(args: &NewArgs, name: &Name, written: &[String], out: &mut Out) {
    out.line(format_args!("{} in {}:", style::strong(name.kebab()), args.path.display()));
    for file in written {
        out.line(format_args!("  {file}"));
    }
    if args.path_to_rpcplugin.is_none() {
        out.line(style::dim(concat!(
            "\nit depends on the published rpcplugin ",
            env!("CARGO_PKG_VERSION"),
            "; use a checkout with --path-to-rpcplugin"
        )));
    }
    out.line(format_args!(
        "\nnext:\n  cd {}\n  cargo test\n  cargo run -p {name}-host -- target/debug/{name}-plugin World",
        args.path.display(),
        name = name.kebab(),
    ));
}

/// Returns the absolute path of a checkout of rpcplugin.
fn checkout(dir: &PathBuf) -> Result<PathBuf, CommandError> {
    let dir = std::path::absolute(dir).into_diagnostic()?;
    if !dir.join("crates/rpcplugin/Cargo.toml").is_file() {
        let message = format!("{} is not a checkout of rpcplugin", dir.display());
        return Err(UsageError::new(message, "name the directory that contains crates/rpcplugin").into());
    }
    Ok(dir)
}
