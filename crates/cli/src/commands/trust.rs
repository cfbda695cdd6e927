//! `rpcplugin trust`: records plugins in a lock file, with their digests and what they may do.

mod change;

use std::{
    io::{self, IsTerminal as _},
    path::{Path, PathBuf},
};

use clap::Args;
use miette::IntoDiagnostic as _;
use rpcplugin::host::ProgramFile;
use serde_json::json;

use self::change::Change;
use crate::{
    error::{CommandError, UsageError},
    exit::Exit,
    sandbox::{Grants, SandboxArgs, words},
    trust::{Entry, LOCK_FILE, LockFile, LockFileError, digest, refuse_interpreter},
    ui::{
        Out, Tree,
        style::{bad, dim, good, strong, warn},
    },
};

/// Records that a plugin is trusted: the digest of its file, and what it may do. Without --sandbox it may do everything that its user
/// may. Shows what changes, and asks for confirmation.
#[derive(Debug, Args)]
#[command(override_usage = USAGE)]
pub(crate) struct TrustArgs {
    /// The lock file.
    #[arg(long, value_name = "FILE", default_value = LOCK_FILE)]
    lock_file: PathBuf,
    /// Records without asking.
    #[arg(long, short = 'y', conflicts_with_all = ["check", "list"])]
    yes: bool,
    /// Checks whether the files of the trusted plugins, or of PLUGIN, are unchanged. Fails if one of them is not.
    #[arg(long, conflicts_with_all = ["list", "remove", "sandbox"])]
    check: bool,
    /// Lists the trusted plugins and what each may do.
    #[arg(long, conflicts_with_all = ["remove", "sandbox", "program"])]
    list: bool,
    /// Removes the plugin from the lock file.
    #[arg(long, conflicts_with = "sandbox", requires = "program")]
    remove: bool,
    #[command(flatten)]
    sandbox: SandboxArgs,
    /// The program of the plugin.
    #[arg(value_name = "PLUGIN", required_unless_present_any = ["check", "list"])]
    program: Option<PathBuf>,
}

/// Records, checks, lists or removes.
pub(crate) async fn run(args: &TrustArgs, out: &mut Out) -> Result<Exit, CommandError> {
    match &args.program {
        program if args.check => check(&args.lock_file, program.as_deref(), out),
        Some(program) if args.remove => remove(&args.lock_file, program, out),
        Some(program) => record(args, program, out).await,
        None => list(&args.lock_file, out),
    }
}

async fn record(args: &TrustArgs, program: &Path, out: &mut Out) -> Result<Exit, CommandError> {
    refuse_interpreter(program)?;
    let file = LockFile::read_or_new(&args.lock_file)?;
    let key = file.key(program)?;
    let path = file.program(&key);
    let sandbox = args.sandbox.sandbox();
    if let Some(sandbox) = &sandbox {
        file.refuse_self_change(&path, sandbox)?;
    }
    // The digest that is shown is the digest that is recorded.
    let sha256 = digest(&path)?;
    let entry = Entry { sha256, sandbox: sandbox.as_ref().map(|sandbox| Grants::of(sandbox, file.base())) };
    let old = file.entry(&key);
    let invalid = |why: String| LockFileError::Invalid { path: args.lock_file.clone(), why };
    let change = Change::between(old, &entry, &file).map_err(|error| invalid(error.to_string()))?;
    if old == Some(&entry) {
        report(&key, &entry, &change, false, out);
        return Ok(Exit::Ok);
    }
    if !args.yes {
        if out.is_json() || !io::stdin().is_terminal() {
            let message = format!("{key} is not recorded: there is no terminal to ask on");
            return Err(UsageError::new(message, "look at the plugin, and record it with --yes").into());
        }
        out.tree(&change.show(&key, &path));
        if !confirmed(&format!("record {key} in {}?", file.path().display()), out).await? {
            out.note("nothing is recorded");
            return Ok(Exit::Failed);
        }
    }
    LockFile::change(&args.lock_file, |file, plugins| {
        if file.entry(&key) != old {
            let source = io::Error::other(format!("another process has changed {key} meanwhile"));
            return Err(LockFileError::Unwritable { path: args.lock_file.clone(), source });
        }
        plugins.insert(key.clone(), entry.clone());
        Ok(())
    })??;
    report(&key, &entry, &change, true, out);
    let script = ProgramFile::of(&path).is_ok_and(|file| file.architecture().is_none());
    if script && !out.is_json() {
        out.hint(&warn(
            "the digest is that of the script: neither its interpreter nor what the script imports is checked",
        ));
    }
    Ok(Exit::Ok)
}

/// Prints what has been recorded.
fn report(key: &str, entry: &Entry, change: &Change, changed: bool, out: &mut Out) {
    if out.is_json() {
        let mut value = as_json(key, entry);
        value["changes"] = json!(change.lines());
        out.json(&value);
    } else if changed {
        out.line(format_args!("{} {}", strong(key), good("is trusted")));
        change.lines().iter().for_each(|line| out.line(format_args!("  {line}")));
    } else {
        out.line(format_args!("{} is trusted already, and nothing has changed", strong(key)));
    }
}

/// Asks on the terminal. Everything but `y` and `yes` means no.
async fn confirmed(question: &str, out: &mut Out) -> Result<bool, CommandError> {
    out.note(format_args!("{question} [y/N]"));
    let read = || {
        let mut answer = String::new();
        io::stdin().read_line(&mut answer).map(|_| answer)
    };
    let answer = tokio::task::spawn_blocking(read).await.into_diagnostic()?.into_diagnostic()?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}

fn check(file: &Path, program: Option<&Path>, out: &mut Out) -> Result<Exit, CommandError> {
    let file = LockFile::read(file)?;
    let only = program.map(|program| file.key(program)).transpose()?;
    if let (Some(program), Some(key)) = (program, &only)
        && file.entry(key).is_none()
    {
        file.permit(program, None)?;
    }
    let mut results = Vec::new();
    let mut is_good = true;
    for (key, entry) in file.plugins().filter(|(key, _)| only.as_deref().is_none_or(|only| only == *key)) {
        let found = digest(&file.program(key));
        let (state, shown) = match &found {
            Ok(found) if *found == entry.sha256 => ("unchanged", good("unchanged")),
            Ok(_) => ("changed", bad("changed since it was trusted")),
            Err(error) => ("unreadable", bad(error)),
        };
        is_good &= state == "unchanged";
        if !out.is_json() {
            out.line(format_args!("{}  {shown}", strong(key)));
        }
        results.push(json!({ "plugin": key, "state": state, "sha256": entry.sha256, "found": found.ok() }));
    }
    if out.is_json() {
        out.json(&json!({ "lock_file": file.path(), "unchanged": is_good, "plugins": results }));
    }
    Ok(if is_good { Exit::Ok } else { Exit::Failed })
}

fn list(file: &Path, out: &mut Out) -> Result<Exit, CommandError> {
    let file = LockFile::read(file)?;
    if out.is_json() {
        let plugins: Vec<_> = file.plugins().map(|(key, entry)| as_json(key, entry)).collect();
        out.json(&json!({ "lock_file": file.path(), "plugins": plugins }));
        return Ok(Exit::Ok);
    }
    let mut tree = Tree::new(file.path().display());
    for (key, entry) in file.plugins() {
        let mut plugin = Tree::new(key);
        plugin.fact("sha256", &entry.sha256);
        match &entry.sandbox {
            None => _ = plugin.fact("may", warn("do everything that its user may: it has no sandbox")),
            Some(grants) => {
                let may: Vec<_> = grants.allow.iter().map(|line| words(line)).collect();
                let may = if may.is_empty() { dim("do nothing beyond the default") } else { may.join("\n") };
                plugin.fact("may", may);
                if !grants.limits.is_empty() {
                    plugin.fact("limits", grants.limits.join(", "));
                }
            }
        }
        tree.tree(plugin);
    }
    if file.plugins().next().is_none() {
        tree.line(dim("no plugin is trusted"));
    }
    out.tree(&tree);
    Ok(Exit::Ok)
}

fn remove(path: &Path, program: &Path, out: &mut Out) -> Result<Exit, CommandError> {
    let file = LockFile::read(path)?;
    // The program may be gone: then its path is its name.
    let key = file.key(program).unwrap_or_else(|_| program.display().to_string());
    let removed = LockFile::change(path, |_, plugins| plugins.remove(&key))?;
    let Some(entry) = removed else {
        let message = format!("{key} is not in {}", path.display());
        return Err(UsageError::new(message, "name a plugin as `rpcplugin trust --list` does").into());
    };
    if out.is_json() {
        out.json(&json!({ "removed": as_json(&key, &entry) }));
    } else {
        out.line(format_args!("{} is no longer trusted", strong(&key)));
    }
    Ok(Exit::Ok)
}

fn as_json(key: &str, entry: &Entry) -> serde_json::Value {
    let Grants { allow, limits, best_effort } = entry.sandbox.clone().unwrap_or_default();
    json!({
        "plugin": key,
        "sha256": entry.sha256,
        "sandbox": entry.sandbox.is_some(),
        "allow": allow,
        "limits": limits,
        "best_effort": best_effort,
    })
}

/// The usage: one line for each thing that the command does.
const USAGE: &str = "rpcplugin trust [OPTIONS] <PLUGIN>
       rpcplugin trust --check [PLUGIN]
       rpcplugin trust --list
       rpcplugin trust --remove <PLUGIN>";
