//! Flags of this program in a place where they belong to the plugin.

use std::ffi::OsString;

use clap::{ArgMatches, Command};

/// Returns a note on the plugin's arguments that look like flags of this program. A `--` on the command line suppresses the note.
/// `typed` is the command line without the name of the program.
pub(crate) fn stray_flags(command: &Command, matches: &ArgMatches, typed: &[OsString]) -> Option<String> {
    let (name, matches) = matches.subcommand()?;
    let given: Vec<&OsString> = matches.try_get_many("args").ok()??.collect();
    // The plugin's arguments come last.
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
        [_] => ("goes to the plugin, because it comes", "it"),
        _ => ("go to the plugin, because they come", "them"),
    };
    Some(format!(
        "{} {went} after the plugin's first argument: put {put} before the plugin, or confirm with -- before the plugin",
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
    fn a_note_names_flags_of_this_program_that_go_to_the_plugin() {
        for (line, flags) in [
            ("inspect ./p serve --cookie A=b", "--cookie goes to the plugin, because it comes"),
            (
                "inspect ./p serve --preset=kit --json x --json",
                "--preset, --json go to the plugin, because they come",
            ),
            ("call Kv/Get ./p serve -d {}", "-d goes to the plugin"),
            ("doctor ./p --unknown --timeout 3s", "--timeout goes to the plugin"),
            ("conformance ./p serve --only mtls", "--only goes to the plugin"),
            ("inspect ./p serve --help", "--help goes to the plugin"),
        ] {
            let note = of(line).unwrap_or_else(|| panic!("there is no note on {line}"));
            assert!(note.starts_with(flags), "{note}");
        }
    }

    #[test]
    fn there_is_no_note_on_arguments_of_the_plugin() {
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
