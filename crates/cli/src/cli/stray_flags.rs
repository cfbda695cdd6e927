//! Flags of this program that stand where they are the plugin's.

use std::ffi::OsString;

use clap::{ArgMatches, Command};

/// Says which of the plugin's arguments look like flags of this program, if it is not said by `--` that they are the plugin's.
/// `typed` is all that was typed behind the program's name.
pub(crate) fn stray_flags(command: &Command, matches: &ArgMatches, typed: &[OsString]) -> Option<String> {
    let (name, matches) = matches.subcommand()?;
    let given: Vec<&OsString> = matches.try_get_many("args").ok()??.collect();
    // They are the last that was typed.
    let (ours, _) = typed.split_at_checked(typed.len().checked_sub(given.len())?)?;
    if ours.iter().any(|word| word == "--") {
        return None;
    }
    let known = command.find_subcommand(name)?.get_arguments().chain(command.get_arguments());
    let known: Vec<String> = known
        .flat_map(|arg| {
            [arg.get_long().map(|long| format!("--{long}")), arg.get_short().map(|s| format!("-{s}"))]
        })
        .flatten()
        .collect();
    let mut found: Vec<&str> = Vec::new();
    for word in given.into_iter().take_while(|word| *word != "--").filter_map(|word| word.to_str()) {
        let flag = word.split_once('=').map_or(word, |(flag, _)| flag);
        if known.iter().any(|known| known == flag) && !found.contains(&flag) {
            found.push(flag);
        }
    }
    let (went, put) = match found.as_slice() {
        [] => return None,
        [_] => ("went to the plugin, as it stands", "it"),
        _ => ("went to the plugin, as they stand", "them"),
    };
    Some(format!(
        "{} {went} behind the plugin's first argument: put {put} before the plugin, or put -- before the plugin to confirm",
        found.join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::command;

    fn of(line: &str) -> Option<String> {
        let typed: Vec<OsString> = line.split(' ').map(OsString::from).collect();
        let words = [OsString::from("rpcplugin")].into_iter().chain(typed.iter().cloned());
        let matches = command().try_get_matches_from(words).unwrap();
        stray_flags(&command(), &matches, &typed)
    }

    #[test]
    fn flags_of_this_program_are_named_where_the_plugin_got_them() {
        for (line, flags) in [
            ("inspect ./p serve --cookie A=b", "--cookie went to the plugin, as it stands"),
            (
                "inspect ./p serve --preset=kit --json x --json",
                "--preset, --json went to the plugin, as they stand",
            ),
            ("call Kv/Get ./p serve -d {}", "-d went to the plugin"),
            ("doctor ./p --unknown --timeout 3s", "--timeout went to the plugin"),
            ("conformance ./p serve --only mtls", "--only went to the plugin"),
            ("inspect ./p serve --help", "--help went to the plugin"),
        ] {
            let note = of(line).unwrap_or_else(|| panic!("nothing is said of {line}"));
            assert!(note.starts_with(flags), "{note}");
        }
    }

    #[test]
    fn what_is_the_plugins_is_left_to_it() {
        for line in [
            "inspect --cookie A=b ./p serve",
            "inspect ./p --cookie A=b serve",
            "inspect ./p serve --port 7000",
            "inspect -- ./p serve --cookie A=b",
            "inspect ./p -- serve --cookie A=b",
            "inspect ./p serve -- --cookie A=b",
            "inspect ./p serve cookie",
            "attach unix:/tmp/p stop",
            "man",
        ] {
            assert_eq!(of(line), None, "{line}");
        }
    }
}
