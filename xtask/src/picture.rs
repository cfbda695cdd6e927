//! `cargo xtask picture`: what `rpcplugin inspect` shows, as `docs/images/inspect.svg` and as text in `docs/cli.md`.

use std::fmt::Write as _;
use std::fs;
use std::process::Command;

use crate::workspace::{self, Outcome};

/// A text in one style.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Style {
    bold: bool,
    dim: bool,
    /// The number of the colour, as terminals count them.
    colour: Option<u8>,
}

/// Builds the program and a plugin, looks at it, and draws what comes.
pub(crate) fn run() -> Outcome {
    for arguments in [["build", "-p", "rpcplugin-cli", "--bins"], ["build", "-p", "rpcplugin", "--examples"]]
    {
        if !workspace::cargo(arguments).status()?.success() {
            return Err(format!("cargo {} failed", arguments.join(" ")).into());
        }
    }
    let target = workspace::Workspace::load()?.target.join("debug");
    let output = Command::new(target.join("rpcplugin"))
        .args(["--color", "always", "inspect", "--cookie", "KV_PLUGIN=hello"])
        .arg(target.join("examples/kv-plugin"))
        .output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
    }
    // The plugin as it would be somewhere else than where it was built.
    let shown =
        String::from_utf8(output.stdout)?.replace(&*target.join("examples").to_string_lossy(), "/opt/kv");
    let session = format!("$ rpcplugin inspect --cookie KV_PLUGIN=hello /opt/kv/kv-plugin\n{shown}");
    let images = workspace::root().join("docs/images");
    fs::create_dir_all(&images)?;
    fs::write(images.join("inspect.svg"), svg(&session))?;
    let page = workspace::root().join("docs/cli.md");
    let text = fs::read_to_string(&page)?;
    fs::write(&page, between_markers(&text, &plain(&session))?)?;
    println!("wrote docs/images/inspect.svg and the session in docs/cli.md");
    Ok(())
}

/// The page with another session in it.
fn between_markers(page: &str, session: &str) -> Outcome<String> {
    let (before, rest) = page.split_once(BEGIN).ok_or("docs/cli.md has no place for the session")?;
    let (_, after) = rest.split_once(END).ok_or("the session in docs/cli.md has no end")?;
    Ok(format!("{before}{BEGIN}\n```text\n{}\n```\n{END}{after}", session.trim_end()))
}

/// The text without its colours.
fn plain(text: &str) -> String {
    text.lines()
        .map(|line| pieces(line).into_iter().map(|(_, text)| text).collect::<String>() + "\n")
        .collect()
}

/// A line's pieces, each in one style. What is no colour is passed over.
fn pieces(line: &str) -> Vec<(Style, &str)> {
    let mut style = Style::default();
    let mut parts = line.split("\u{1b}[");
    let mut pieces = vec![(style, parts.next().unwrap_or_default())];
    for part in parts {
        let (codes, text) = part.split_once('m').unwrap_or(("", part));
        for code in codes.split(';') {
            match code.parse::<u8>() {
                Ok(1) => style.bold = true,
                Ok(2) => style.dim = true,
                Ok(colour @ 30..=37) => style.colour = Some(colour - 30),
                _ => style = Style::default(),
            }
        }
        pieces.push((style, text));
    }
    pieces.retain(|(_, text)| !text.is_empty());
    pieces
}

/// The text as a picture of a terminal.
fn svg(text: &str) -> String {
    let columns = plain(text).lines().map(|line| line.chars().count()).max().unwrap_or(0);
    let rows = text.lines().count();
    let (width, height) = (columns * CHARACTER / 10 + 2 * MARGIN, rows * LINE + 2 * MARGIN);
    let mut picture = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" \
         role=\"img\" aria-label=\"rpcplugin inspect\">\n\
         <rect width=\"100%\" height=\"100%\" rx=\"8\" fill=\"#1c1f26\"/>\n\
         <g font-family=\"ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace\" font-size=\"13\" \
         fill=\"#d5d9e0\">\n"
    );
    for (row, line) in text.lines().enumerate() {
        let y = MARGIN + row * LINE + LINE * 3 / 4;
        let mut column = 0;
        for (style, piece) in pieces(line) {
            // Each piece has its place, so that no font moves what follows it.
            let x = MARGIN + column * CHARACTER / 10;
            let length = piece.chars().count();
            column += length;
            _ = writeln!(
                picture,
                "<text x=\"{x}\" y=\"{y}\" textLength=\"{}\" xml:space=\"preserve\"{}>{}</text>",
                length * CHARACTER / 10,
                attributes(style),
                escaped(piece)
            );
        }
    }
    picture + "</g>\n</svg>\n"
}

fn attributes(style: Style) -> String {
    let mut attributes = String::new();
    if style.bold {
        attributes += " font-weight=\"bold\"";
    }
    let colour = match (style.colour, style.dim) {
        (Some(1), _) => "#ff6b6b",
        (Some(2), _) => "#7bd88f",
        (Some(3), _) => "#ffd479",
        (_, true) => "#868e9c",
        _ => return attributes,
    };
    _ = write!(attributes, " fill=\"{colour}\"");
    attributes
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

const BEGIN: &str = "<!-- session: written by `cargo xtask picture` -->";
const END: &str = "<!-- /session -->";

/// The height of a line and the space around all of them, in pixels.
const LINE: usize = 18;
const MARGIN: usize = 16;

/// The width of a character in tenths of a pixel.
const CHARACTER: usize = 78;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_become_styles() {
        let line = "a\u{1b}[1mb\u{1b}[0m\u{1b}[32mc\u{1b}[0m<";
        let green = Style { colour: Some(2), ..Style::default() };
        let bold = Style { bold: true, ..Style::default() };
        assert_eq!(
            pieces(line),
            [(Style::default(), "a"), (bold, "b"), (green, "c"), (Style::default(), "<")]
        );
        assert_eq!(plain(line), "abc<\n");
        let picture = svg(line);
        assert!(picture.contains("fill=\"#7bd88f\">c<") && picture.contains("&lt;"), "{picture}");
    }

    #[test]
    fn the_session_is_put_between_its_markers() {
        let page = format!("before\n{BEGIN}\nold\n{END}\nafter\n");
        let page = between_markers(&page, "new\n").unwrap();
        assert_eq!(page, format!("before\n{BEGIN}\n```text\nnew\n```\n{END}\nafter\n"));
        assert!(between_markers("nothing", "new").is_err());
    }
}
