//! Runs of the program on a terminal.

use std::{
    ffi::OsStr,
    fs::File,
    io::{Read as _, Write as _},
    process::{Command, Stdio},
};

use rustix::{
    fs::{Mode, OFlags, open},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{Winsize, tcsetwinsize},
};

/// Runs the program on a terminal with this many columns. Returns the exit code and everything that was sent to the terminal.
pub(crate) fn on_a_terminal<A: AsRef<OsStr>>(
    columns: u16,
    args: impl IntoIterator<Item = A>,
) -> (Option<i32>, String) {
    run(columns, None, args)
}

/// Runs the program on a terminal of which its stdin is too, and types this text.
pub(crate) fn answering_on_a_terminal<A: AsRef<OsStr>>(
    typed: &str,
    args: impl IntoIterator<Item = A>,
) -> (Option<i32>, String) {
    run(100, Some(typed), args)
}

fn run<A: AsRef<OsStr>>(
    columns: u16,
    typed: Option<&str>,
    args: impl IntoIterator<Item = A>,
) -> (Option<i32>, String) {
    let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&terminal).unwrap();
    unlockpt(&terminal).unwrap();
    let size = Winsize { ws_row: 24, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(&terminal, size).unwrap();
    let path = ptsname(&terminal, Vec::new()).unwrap();
    let end = || Stdio::from(open(&path, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).unwrap());
    let mut terminal = File::from(terminal);
    let stdin = typed.map_or_else(Stdio::null, |_| end());
    // The terminal keeps what is typed until the program reads it.
    terminal.write_all(typed.unwrap_or_default().as_bytes()).unwrap();
    let tmp = tempfile::Builder::new().prefix("rp").tempdir().unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_rpcplugin"))
        .args(args)
        .env("TERM", "xterm-256color")
        .env("TMPDIR", tmp.path())
        .env_remove("RPCPLUGIN_COOKIE")
        .env_remove("NO_COLOR")
        .env_remove("CLICOLOR")
        .stdin(stdin)
        .stdout(end())
        .stderr(end())
        .spawn()
        .unwrap();
    let mut sent = Vec::new();
    // Reading fails when the last end of the terminal is closed.
    let _ = terminal.read_to_end(&mut sent);
    (child.wait().unwrap().code(), String::from_utf8_lossy(&sent).into_owned())
}

/// Returns the lines of a terminal that received this text, without overwritten and erased parts.
pub(crate) fn screen(sent: &str) -> Vec<String> {
    let mut lines = vec![Vec::new()];
    let (mut row, mut column) = (0, 0);
    let mut rest = sent.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '\r' => column = 0,
            '\n' => {
                row += 1;
                lines.resize_with((row + 1).max(lines.len()), Vec::new);
            }
            '\u{1b}' if rest.next_if_eq(&'[').is_some() => {
                let mut parameter = String::new();
                while let Some(c) = rest.next_if(|c| !c.is_ascii_alphabetic()) {
                    parameter.push(c);
                }
                let number = parameter.parse::<usize>();
                match rest.next() {
                    Some('A') => row = row.saturating_sub(number.unwrap_or(1)),
                    Some('B') => row += number.unwrap_or(1),
                    Some('K') if number == Ok(2) => lines[row].clear(),
                    Some('K') => lines[row].truncate(column),
                    // Colours, and the visibility of the cursor.
                    Some('m' | 'h' | 'l') => {}
                    other => panic!("CSI {parameter} {other:?} is not known here"),
                }
            }
            c => {
                let line: &mut Vec<char> = &mut lines[row];
                line.resize((column + 1).max(line.len()), ' ');
                line[column] = c;
                column += 1;
            }
        }
    }
    let mut lines: Vec<String> =
        lines.into_iter().map(|line| line.into_iter().collect::<String>().trim_end().to_owned()).collect();
    while lines.last().is_some_and(String::is_empty) {
        lines.pop();
    }
    lines
}
