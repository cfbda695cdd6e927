//! The help: argument groups, examples, exit codes, and the address of the documentation.

use std::fmt::Write as _;

use clap::{Arg, ArgAction, Command, CommandFactory as _, builder::Resettable};

use super::args::Cli;
use crate::commands::pages::{DOCUMENTATION, Page, page};

/// Returns the complete command line.
pub(crate) fn command() -> Command {
    let help = Arg::new("help").short('h').long("help").action(ArgAction::Help);
    let version = Arg::new("version").short('V').long("version").action(ArgAction::Version);
    let command = Cli::command()
        .max_term_width(100)
        .arg(help.global(true).help("Prints a summary (-h) or the full help (--help)"))
        .arg(version.global(true).help("Prints the version"))
        .mut_args(|arg| if arg.is_global_set() { arg.help_heading(EVERYWHERE) } else { arg });
    completed(command, "rpcplugin")
}

/// Adds the pages of a command and of its subcommands.
fn completed(command: Command, name: &str) -> Command {
    let command = command
        // The global options replace these.
        .disable_help_flag(true)
        .disable_version_flag(true)
        .mut_args(|arg| {
            // Variables may hold secrets, and people paste help texts.
            let arg = arg.hide_env_values(true);
            // A heading is for options only.
            if arg.is_positional() { arg.help_heading(Resettable::Reset) } else { arg }
        })
        .mut_subcommands(|below| {
            let name = format!("{name}-{}", below.get_name());
            completed(below, &name)
        });
    // These commands accept the flag in order to refuse it with an error that names it.
    let command = match PRINT_TEXT.contains(&name) {
        true => command.arg(Arg::new("json").long("json").action(ArgAction::SetTrue).global(true).hide(true)),
        false => command,
    };
    let Some(page) = page(name) else { return command };
    let text = page.text(command.get_styles());
    let more = format!("`{} --help` has examples and exit codes.", name.replace('-', " "));
    command.after_help(more).after_long_help(text)
}

impl Page {
    fn text(&self, styles: &clap::builder::Styles) -> String {
        let header = styles.get_header();
        let mut text = format!("{header}Examples:{header:#}\n");
        for (does, line) in self.examples {
            _ = writeln!(text, "  {does}:\n    {line}");
        }
        _ = writeln!(text, "\n{header}Exit codes:{header:#}");
        for exit in self.exits {
            _ = writeln!(text, "  {:>3}  {}", exit.code(), exit.meaning());
        }
        text + &format!("\n{header}Documentation:{header:#}\n  {DOCUMENTATION}")
    }
}

const EVERYWHERE: &str = "Global options";

/// The commands that have no JSON output.
const PRINT_TEXT: &[&str] = &["rpcplugin-bridge", "rpcplugin-completions", "rpcplugin-man"];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::pages::PAGES;

    /// Collects every command with the name of its page.
    fn commands(command: &Command, name: String, found: &mut Vec<(String, Command)>) {
        for below in command.get_subcommands().filter(|below| below.get_name() != "help") {
            commands(below, format!("{name}-{}", below.get_name()), found);
        }
        found.push((name, command.clone()));
    }

    fn all() -> Vec<(String, Command)> {
        let mut found = Vec::new();
        let mut command = command();
        command.build();
        commands(&command, "rpcplugin".to_owned(), &mut found);
        found
    }

    /// Splits a line into words as a shell does, up to a pipe or a redirection.
    fn words(line: &str) -> Vec<String> {
        let line = line
            .rsplit_once("| rpcplugin")
            .map_or_else(|| line.to_owned(), |(_, rest)| format!("rpcplugin{rest}"));
        let parts = line.split('\'').enumerate();
        let words = parts.flat_map(|(n, part)| match n % 2 {
            0 => part.split_whitespace().map(str::to_owned).collect(),
            _ => vec![part.to_owned()],
        });
        words.take_while(|word| word != "|" && word != ">").collect()
    }

    #[test]
    fn the_command_line_is_consistent() {
        command().debug_assert();
    }

    #[test]
    fn every_command_has_a_page_and_every_page_a_command() {
        let names: Vec<String> = all().into_iter().map(|(name, _)| name).collect();
        for name in &names {
            assert!(page(name).is_some(), "{name} has no page");
        }
        for page in PAGES {
            assert!(names.iter().any(|name| name == page.name), "{} is a page without a command", page.name);
            for other in page.see_also {
                assert!(names.contains(&format!("rpcplugin-{other}")), "{}: {other}", page.name);
            }
        }
    }

    #[test]
    fn examples_parse_and_fit_into_eighty_columns() {
        for (does, line) in PAGES.iter().flat_map(|page| page.examples) {
            // A manual page indents by eleven columns.
            assert!(does.len() < 80 - 7 && line.len() <= 80 - 11, "{line}");
            let parsed = command().try_get_matches_from(words(line));
            assert!(parsed.is_ok(), "{line}: {}", parsed.unwrap_err());
        }
    }

    #[test]
    fn global_options_come_last_and_json_is_listed_where_it_has_an_effect() {
        for (name, mut command) in all() {
            let help = command.render_long_help().to_string();
            let at = |word: &str| help.find(word).unwrap_or_else(|| panic!("{name} has no {word}:\n{help}"));
            let global = at("\nGlobal options:\n");
            for other in ["\nArguments:\n", "\nOptions:\n", "\nLaunch options:\n", "\nSchema options:\n"] {
                assert!(help.find(other).is_none_or(|at| at < global), "{name}: {other}");
            }
            assert!(global < at("\nExamples:\n") && at("\nExamples:\n") < at("\nExit codes:\n"), "{name}");
            assert!(at("\nExit codes:\n") < at(DOCUMENTATION), "{name}");
            assert!(at("  -h, --help") > global && at("  -V, --version") > global, "{name}");
            assert_eq!(help.contains("\n      --json"), !PRINT_TEXT.contains(&name.as_str()), "{name}");
            assert!(command.render_help().to_string().contains("--help` has examples"), "{name}");
        }
    }
}
