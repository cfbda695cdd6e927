//! `rpcplugin man`.

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
};

use clap::{Args, Command};
use clap_mangen::{
    Man,
    roff::{Roff, bold, roman},
};
use miette::{IntoDiagnostic as _, WrapErr as _};

use super::pages::{DOCUMENTATION, Page, page};
use crate::{
    error::{CommandError, UsageError},
    exit::Exit,
    ui::Out,
};

/// Prints the manual page, or writes the pages of all commands.
#[derive(Debug, Args)]
pub(crate) struct ManArgs {
    /// Writes the pages of all commands into this directory.
    #[arg(long, value_name = "PATH")]
    dir: Option<PathBuf>,
}

/// Prints the page of the program, or writes all pages.
pub(crate) fn run(args: &ManArgs, command: Command, out: &mut Out) -> Result<Exit, CommandError> {
    only_text("man", out)?;
    let mut command = command.disable_help_subcommand(true);
    command.build();
    match &args.dir {
        Some(dir) => {
            let cannot = || format!("cannot write into {}", dir.display());
            std::fs::create_dir_all(dir).into_diagnostic().wrap_err_with(cannot)?;
            write_all(&command, dir).into_diagnostic().wrap_err_with(cannot)?;
        }
        None => {
            let mut page = Vec::new();
            render(&command, &mut page).into_diagnostic()?;
            out.line(String::from_utf8_lossy(&page).trim_end());
        }
    }
    Ok(Exit::Ok)
}

/// Refuses `--json` for a command whose output is for a shell or for `man`.
pub(super) fn only_text(command: &str, out: &Out) -> Result<(), UsageError> {
    match out.is_json() {
        true => Err(UsageError::new(format!("`{command}` has no JSON output"), "remove --json")),
        false => Ok(()),
    }
}

/// Writes the pages of a command and of its subcommands.
fn write_all(command: &Command, dir: &Path) -> io::Result<()> {
    for below in command.get_subcommands() {
        write_all(below, dir)?;
    }
    let mut page = Vec::new();
    render(command, &mut page)?;
    std::fs::write(dir.join(format!("{}.1", name(command))), page)
}

/// Renders the page of a command: clap's sections, and then the sections of [`Page`].
fn render(command: &Command, to: &mut dyn Write) -> io::Result<()> {
    // By default the synopsis lists every option.
    let usage = command.clone().render_usage().to_string();
    let usage = usage.strip_prefix("Usage: ").unwrap_or(&usage).to_owned();
    let man = Man::new(command.clone().override_usage(usage));
    let man = man.source(concat!("rpcplugin ", env!("CARGO_PKG_VERSION")));
    man.render_title(to)?;
    man.render_name_section(to)?;
    man.render_synopsis_section(to)?;
    man.render_description_section(to)?;
    man.render_options_section(to)?;
    if command.has_subcommands() {
        man.render_subcommands_section(to)?;
    }
    let mut roff = Roff::new();
    if let Some(page) = page(name(command)) {
        sections(page, command, &mut roff);
    }
    roff.to_writer(to)?;
    man.render_version_section(to)
}

fn sections(page: &Page, command: &Command, roff: &mut Roff) {
    roff.control("SH", ["EXIT STATUS"]);
    for exit in page.exits {
        roff.control("TP", []);
        roff.text([bold(exit.code().to_string())]);
        roff.text([roman(exit.meaning())]);
    }
    roff.control("SH", ["EXAMPLES"]);
    for (does, line) in page.examples {
        roff.control("PP", []);
        roff.text([roman(format!("{does}:"))]);
        roff.control("PP", []);
        roff.control("RS", ["4"]);
        roff.control("nf", []);
        roff.text([bold(*line)]);
        roff.control("fi", []);
        roff.control("RE", []);
    }
    roff.control("SH", ["SEE ALSO"]);
    let above = name(command).rsplit_once('-').map(|(above, _)| above.to_owned());
    let below = command.get_subcommands().map(|below| name(below).to_owned());
    let near = page.see_also.iter().map(|near| format!("rpcplugin-{near}"));
    let mut pages: Vec<String> = above.into_iter().chain(below).chain(near).collect();
    pages.dedup();
    // No hyphenation and no justification: both hide names from a search.
    roff.control("ad", ["l"]);
    roff.control("nh", []);
    let mut line = Vec::new();
    for page in pages {
        let after = if line.is_empty() { "" } else { ", " };
        line.extend([roman(after), bold(page), roman("(1)")]);
    }
    roff.text(line);
    roff.control("PP", []);
    roff.text([roman(DOCUMENTATION)]);
}

/// Returns the name of a command's page. The command must have been built.
fn name(command: &Command) -> &str {
    command.get_display_name().unwrap_or_else(|| command.get_name())
}
