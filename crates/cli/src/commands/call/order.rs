//! Whether the method and the plugin were given the wrong way round.

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
};

use crate::{error::UsageError, os, plugin_args::LaunchArgs};

/// Makes sure that what stands in the method's place is no plugin.
///
/// # Errors
/// [`UsageError`] that names the right order.
pub(super) fn check(method: &str, launch: &LaunchArgs) -> Result<(), UsageError> {
    // No service is called so.
    let is_path = ["./", "../"].iter().any(|start| method.starts_with(start));
    let words: Vec<&OsStr> =
        [launch.program.as_os_str()].into_iter().chain(launch.args.iter().map(AsRef::as_ref)).collect();
    let is_meant = |word: &OsStr, between| is_method(word, between) && !is_there(word);
    // What the launch would take for the program may have no service before its name.
    let meant = words
        .iter()
        .position(|word| is_meant(word, '/'))
        .or_else(|| words.first().filter(|word| is_meant(word, '.')).map(|_| 0));
    let is_program = is_program(Path::new(method));
    let is_swapped = is_path || is_program && meant.is_some();
    if !is_swapped {
        return Ok(());
    }
    let mut plugin: Vec<_> = words.iter().map(|word| word.to_string_lossy()).collect();
    let meant = meant.map_or_else(|| "METHOD".into(), |at| plugin.remove(at));
    let arguments = plugin.iter().map(|word| format!(" {word}")).collect::<String>();
    let what = if is_program { "program" } else { "path" };
    Err(UsageError::new(
        format!("{method} is a {what}, and stands in the place of the method"),
        format!("give the method first, and then the plugin: rpcplugin call {meant} {method}{arguments}"),
    ))
}

/// `package.Service/Method`, where this stands between the two; `Method` alone, or `Service.Method`, where it is the dot.
fn is_method(word: &OsStr, between: char) -> bool {
    let is_name = |name: &str| {
        let mut letters = name.chars();
        letters.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
            && letters.all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    let Some(word) = word.to_str() else { return false };
    match word.rsplit_once(between) {
        Some((service, method)) => service.split('.').all(is_name) && is_name(method),
        None => between == '.' && is_name(word),
    }
}

/// A file in this directory, in PATH, or where a path leads.
fn is_there(program: impl AsRef<Path>) -> bool {
    places(program.as_ref()).any(|place| place.is_file())
}

/// Such a file that may be executed.
fn is_program(program: &Path) -> bool {
    let runs =
        |place: PathBuf| fs::metadata(place).is_ok_and(|file| file.is_file() && os::mode(&file) & 0o111 != 0);
    places(program).any(runs)
}

#[expect(clippy::disallowed_methods, reason = "programs are looked for where the system does")]
fn places(program: &Path) -> impl Iterator<Item = PathBuf> {
    let is_name = program.components().count() == 1;
    let path = std::env::var_os("PATH").filter(|_| is_name).unwrap_or_default();
    let dirs: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let program = program.to_owned();
    [PathBuf::new()].into_iter().chain(dirs).map(move |dir| dir.join(&program))
}

#[cfg(test)]
mod tests {
    use clap::{Args as _, Command, FromArgMatches as _};

    use super::*;

    /// What is said of these words behind `call`.
    fn said(words: &[&str]) -> Option<String> {
        let all = ["test"].iter().chain(&words[1..]);
        let matches = LaunchArgs::augment_args(Command::new("test")).get_matches_from(all);
        let launch = LaunchArgs::from_arg_matches(&matches).unwrap();
        let error = check(words[0], &launch).err()?;
        Some(miette::Diagnostic::help(&error).unwrap().to_string())
    }

    #[test]
    fn a_plugin_before_the_method_is_noticed() {
        let sh = "/bin/sh";
        for (words, line) in [
            (&[sh, "Kv/Get"][..], "rpcplugin call Kv/Get /bin/sh"),
            (&[sh, "a.v1.Kv/Get", "serve"], "rpcplugin call a.v1.Kv/Get /bin/sh serve"),
            (&[sh, "serve", "Kv/Get"], "rpcplugin call Kv/Get /bin/sh serve"),
            (&[sh, "Kv/Get", "a/b"], "rpcplugin call Kv/Get /bin/sh a/b"),
            (&["sh", "Cargo.toml", "Kv/Get"], "rpcplugin call Kv/Get sh Cargo.toml"),
            (&[sh, "Get"], "rpcplugin call Get /bin/sh"),
            (&["./not-there", "Kv/Get"], "rpcplugin call Kv/Get ./not-there"),
            (&["./not-there", "/bin/sh"], "rpcplugin call METHOD ./not-there /bin/sh"),
        ] {
            let help = said(words).unwrap_or_else(|| panic!("nothing is said of {words:?}"));
            assert!(help.ends_with(line), "{help}");
        }
    }

    #[test]
    fn the_right_order_is_left_alone() {
        for words in [
            &["Kv/Get", "/bin/sh"][..],
            &["Get", "sh", "-c", "x"],
            &["/a.v1.Kv/Get", "/bin/sh"],
            &["Kv/Get", "/not/there"],
            &["sh", "/not/there"],
            &["Cargo.toml", "/not/there"],
            // A method may be called as a program is.
            &["sh", "/bin/sh", "serve"],
        ] {
            assert_eq!(said(words), None, "{words:?}");
        }
    }
}
