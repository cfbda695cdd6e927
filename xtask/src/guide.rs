//! `cargo xtask guide`: follows the guide word by word, as a new user would.
//!
//! On the pages of [`PAGES`] a block under `<!-- file PATH -->` is saved as that file. In a `console` block each line that
//! begins with `$` is run, and has to print the lines below it, where `…` stands for any text. This happens in a fresh
//! directory outside of the workspace, with the versions of the workspace's lock file. Commands that would fetch or install
//! something use this workspace and the programs that it has built.

use std::fs;
#[cfg(unix)]
use std::os::unix::fs::symlink;
#[cfg(windows)]
use std::os::windows::fs::symlink_dir as symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::markdown::{Block, blocks};
use crate::workspace::{self, Outcome, Workspace};

/// The pages that are followed.
pub(crate) const PAGES: &[&str] = &["docs/guide/getting-started.md"];

/// Follows every page.
pub(crate) fn run() -> Outcome {
    let target = Workspace::load()?.target;
    for page in PAGES {
        println!("━━ {page} ━━");
        let text = fs::read_to_string(workspace::root().join(page))?;
        let directory = tempfile::tempdir()?;
        let mut session = Session { directory: directory.path().to_owned(), target: target.clone() };
        for block in blocks(&text) {
            session.step(&block).map_err(|why| format!("{page}:{}: {why}", block.line))?;
        }
    }
    Ok(())
}

/// A session at a terminal.
struct Session {
    /// The directory of the next command.
    directory: PathBuf,
    /// The workspace's target directory, which has most dependencies already.
    target: PathBuf,
}

impl Session {
    fn step(&mut self, block: &Block<'_>) -> Outcome {
        if let Some(file) = block.comment.strip_prefix("file ") {
            return self.save(file, block.code);
        }
        if block.language != "console" {
            return Ok(());
        }
        let mut lines = block.code.lines().peekable();
        while let Some(line) = lines.next() {
            let command = line.strip_prefix("$ ").ok_or("a session begins with a command")?;
            let mut expected = Vec::new();
            while let Some(line) = lines.next_if(|line| !line.starts_with("$ ")) {
                expected.push(line);
            }
            println!("$ {command}");
            let printed = self.run(command)?;
            print!("{printed}");
            if !matches(&expected, &printed.lines().collect::<Vec<_>>()) {
                return Err(format!("`{command}` printed something else than the page shows").into());
            }
        }
        Ok(())
    }

    fn save(&self, file: &str, content: &str) -> Outcome {
        let path = self.directory.join(file);
        fs::create_dir_all(path.parent().ok_or("a file has a directory")?)?;
        if file == "Cargo.toml" {
            self.prepare_project(&self.directory)?;
        }
        println!("  {file}");
        Ok(fs::write(path, content)?)
    }

    /// Lets a new project build with the workspace's versions, and links its target directory to the place of the programs.
    fn prepare_project(&self, directory: &Path) -> Outcome {
        fs::copy(workspace::root().join("Cargo.lock"), directory.join("Cargo.lock"))?;
        Ok(symlink(&self.target, directory.join("target"))?)
    }

    /// Runs a command and returns what it printed.
    fn run(&mut self, command: &str) -> Outcome<String> {
        if command.starts_with("git clone ") {
            // This tree is tested, and not a published one.
            symlink(workspace::root(), self.directory.join("rpcplugin"))?;
            return Ok(String::new());
        }
        if command.starts_with("cargo install --path ") {
            // The tests need it too, and not optimised.
            workspace::succeed(&mut workspace::cargo(["build", "--quiet", "-p", "rpcplugin-cli", "--bins"]))?;
            return Ok(String::new());
        }
        if let Some(directory) = command.strip_prefix("cd ") {
            self.directory.push(directory);
            return Ok(String::new());
        }
        // The programs of the workspace are found as if they were installed.
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("PATH=\"$BUILT:$PATH\"; {command}")]).current_dir(&self.directory);
        workspace::forget_cargo(&mut shell);
        let output = shell
            .env_remove("RUSTUP_TOOLCHAIN")
            .env("BUILT", self.target.join("debug"))
            .env("CARGO_TARGET_DIR", &self.target)
            .env("CARGO_PROFILE_DEV_DEBUG", "line-tables-only")
            .stdin(Stdio::null())
            .stderr(Stdio::inherit())
            .output()?;
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        if !output.status.success() {
            return Err(format!("{printed}`{command}` ended with {}", output.status).into());
        }
        let new = command.strip_prefix("rpcplugin new ").and_then(|args| args.split(' ').next_back());
        if let Some(project) = new {
            self.prepare_project(&self.directory.join(project))?;
        }
        Ok(printed)
    }
}

/// Whether the printed lines match the page. `…` alone stands for any lines, and within a line for any text.
fn matches(shown: &[&str], printed: &[&str]) -> bool {
    match (shown, printed) {
        ([], []) => true,
        (["…", rest @ ..], _) => {
            matches(rest, printed) || printed.split_first().is_some_and(|(_, later)| matches(shown, later))
        }
        ([line, shown @ ..], [first, printed @ ..]) => is_line(line, first) && matches(shown, printed),
        _ => false,
    }
}

fn is_line(shown: &str, printed: &str) -> bool {
    match shown.split_once('…') {
        None => shown == printed,
        Some((start, rest)) => printed.strip_prefix(start).is_some_and(|printed| {
            let ends = printed.char_indices().map(|(at, _)| at).chain([printed.len()]);
            ends.into_iter().any(|at| is_line(rest, &printed[at..]))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[track_caller]
    fn check(shown: &str, printed: &str, expected: bool) {
        let [shown, printed] = [shown, printed].map(|text| text.lines().collect::<Vec<_>>());
        assert_eq!(matches(&shown, &printed), expected, "{shown:?} {printed:?}");
    }

    #[test]
    fn ellipses_stand_for_lines_and_for_text() {
        check("a\nb", "a\nb", true);
        check("a", "a\nb", false);
        check("…\nb", "a\na\nb", true);
        check("a\n…", "a\nb\nc", true);
        check("in 3… ms", "in 317 ms", true);
        check("…did not start", "/bin/ls did not start", true);
        check("…did not start", "it did not start well", false);
        check("in 3…", "in 2 ms", false);
        check("", "a", false);
    }
}
