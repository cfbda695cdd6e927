//! Detects a plugin in place of the method on the command line.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
};

use crate::{error::UsageError, os, plugin_args::LaunchArgs};

/// Checks that the method is not a path or a program.
///
/// # Errors
/// [`UsageError`] that names the right order.
pub(super) fn check_argument_order(method: &str, launch: &LaunchArgs) -> Result<(), UsageError> {
    // No service name starts with these.
    let is_path = ["./", "../"].iter().any(|start| method.starts_with(start));
    let words: Vec<&OsStr> =
        [launch.program().as_os_str()].into_iter().chain(launch.args.iter().map(AsRef::as_ref)).collect();
    let is_meant = |word: &OsStr, between| is_method(word, between) && !is_there(word);
    // The word in the place of the program may be a method name without a service.
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
        format!("{method} is a {what}, not a method"),
        format!("put the method before the plugin: rpcplugin call {meant} {method}{arguments}"),
    ))
}

/// Whether a word has the form of a method: `package.Service/Method` if `between` is `/`, and `Method` or `Service.Method` if it is `.`.
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

/// Whether there is such a file in the working directory, in PATH, or at this path.
fn is_there(program: impl AsRef<Path>) -> bool {
    places(program.as_ref()).any(|place| place.is_file())
}

/// Whether there is such an executable file.
fn is_program(program: &Path) -> bool {
    places(program).any(|place| os::is_program(&place))
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

    /// Returns the help for these arguments of `call`.
    fn help_for(words: &[&str]) -> Option<String> {
        let all = ["test"].iter().chain(&words[1..]);
        let matches = LaunchArgs::augment_args(Command::new("test")).get_matches_from(all);
        let launch = LaunchArgs::from_arg_matches(&matches).unwrap();
        let error = check_argument_order(words[0], &launch).err()?;
        Some(miette::Diagnostic::help(&error).unwrap().to_string())
    }

    #[cfg(unix)]
    #[test]
    fn a_plugin_before_the_method_is_an_error() {
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
            let help = help_for(words).unwrap_or_else(|| panic!("there is no error for {words:?}"));
            assert!(help.ends_with(line), "{help}");
        }
    }

    #[test]
    fn the_correct_order_is_accepted() {
        for words in [
            &["Kv/Get", "/bin/sh"][..],
            &["Get", "sh", "-c", "x"],
            &["/a.v1.Kv/Get", "/bin/sh"],
            &["Kv/Get", "/not/there"],
            &["sh", "/not/there"],
            &["Cargo.toml", "/not/there"],
            // A method may have the name of a program.
            &["sh", "/bin/sh", "serve"],
        ] {
            assert_eq!(help_for(words), None, "{words:?}");
        }
    }
}
