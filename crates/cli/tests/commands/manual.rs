//! Help, completions, manual pages, and `docs/cli.md`.

use std::{
    path::Path,
    process::{Command, Stdio},
};

use crate::program::rpcplugin;

const COMMANDS: [&[&str]; 16] = [
    &[],
    &["inspect"],
    &["call"],
    &["run"],
    &["attach"],
    &["attach", "call"],
    &["attach", "stop"],
    &["discover"],
    &["doctor"],
    &["conformance"],
    &["bench"],
    &["bridge"],
    &["trust"],
    &["new"],
    &["completions"],
    &["man"],
];

/// Returns the help of a command for a terminal with this many columns.
fn help(command: &[&str], columns: &str) -> String {
    let mut program = Command::new(env!("CARGO_BIN_EXE_rpcplugin"));
    let output = program
        .args(command)
        .arg("--help")
        .env("COLUMNS", columns)
        .env("RPCPLUGIN_REATTACH", "a-key-of-some-host")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn help_has_groups_examples_exit_codes_and_the_documentation() {
    for command in COMMANDS {
        for columns in ["80", "120"] {
            let help = help(command, columns);
            let mut at = 0;
            for part in [
                "Global options:",
                "-h, --help",
                "Examples:",
                "  rpcplugin",
                "Exit codes:",
                "    0  ",
                "https://",
            ] {
                let found = help[at..].find(part);
                at += found
                    .unwrap_or_else(|| panic!("{command:?}: {part} is missing, or comes too early:\n{help}"));
            }
            let widest = help.lines().map(|line| line.chars().count()).max().unwrap();
            assert!(widest <= columns.parse().unwrap(), "{command:?} has a line of {widest}:\n{help}");
            assert!(!help.contains("a-key-of-some-host"), "{help}");
            let of_the_launch = ["inspect", "call", "run", "doctor", "conformance", "bench"];
            let launches = command.len() == 1 && of_the_launch.contains(&command[0]);
            assert_eq!(help.contains("\nLaunch options:\n"), launches, "{help}");
        }
    }
}

#[test]
fn help_respects_color() {
    let coloured = rpcplugin(["--color=always", "inspect", "--help"]).ended_with(0);
    assert!(coloured.stdout.contains("\u{1b}["), "{}", coloured.stdout);
    let coloured = rpcplugin(["inspect", "--color", "always", "--no-such-flag"]).ended_with(2);
    assert!(coloured.stderr.contains("\u{1b}["), "{}", coloured.stderr);
    assert!(!rpcplugin(["inspect", "--help"]).ended_with(0).stdout.contains('\u{1b}'));
}

/// `completions` and `man` print text only: their help has no `--json`, and they refuse the flag.
#[test]
fn commands_without_json_output_refuse_the_flag() {
    for args in [
        &["man", "--json"][..],
        &["--json", "man"],
        &["completions", "bash", "--json"],
        &["bridge", "--json", "x"],
    ] {
        let error = rpcplugin(args).ended_with(2).json();
        assert_eq!(error["error"]["code"], "rpcplugin::config::invalid_arguments", "{args:?}");
    }
    for command in [&["man"][..], &["completions"], &["bridge"]] {
        assert!(!help(command, "80").contains("\n      --json"));
    }
}

#[test]
fn completions_for_every_shell() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        rpcplugin(["completions", shell]).ended_with(0).prints(&["rpcplugin", "inspect", "handover"]);
    }
    rpcplugin(["completions", "none"]).ended_with(2);
}

#[test]
fn a_manual_page_for_every_command() {
    rpcplugin(["man"]).ended_with(0).prints(&[".TH rpcplugin 1"]);
    let dir = tempfile::tempdir().unwrap();
    rpcplugin(["man", "--dir", dir.path().to_str().unwrap()]).ended_with(0);
    for command in COMMANDS {
        let name = [&["rpcplugin"], command].concat().join("-");
        let path = dir.path().join(format!("{name}.1"));
        let page = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{name}: {error}"));
        for part in [".SH NAME", ".SH SYNOPSIS", ".SH \"EXIT STATUS\"", ".SH EXAMPLES", ".SH \"SEE ALSO\""] {
            assert!(page.contains(part), "{name}: {part} is missing in\n{page}");
        }
        assert!(page.contains("(1)") && page.contains("docs/cli.md"), "{name}");
        readable(&path);
    }
}

/// Checks a page with `man`, if it is installed.
fn readable(page: &Path) {
    let output = Command::new("man").arg("--warnings").arg("-l").arg(page).env("MANPAGER", "cat").output();
    let Ok(output) = output else { return };
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    assert!(text.contains("EXAMPLES") && text.contains("rpcplugin "), "{text}");
}

/// All commands and flags are in `docs/cli.md`.
#[test]
fn all_commands_and_flags_are_documented() {
    let page =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/cli.md")).unwrap();
    let dir = tempfile::tempdir().unwrap();
    rpcplugin(["man", "--dir", dir.path().to_str().unwrap()]).ended_with(0);
    let mut missing = Vec::new();
    for entry in std::fs::read_dir(dir.path()).unwrap().flatten() {
        let name = entry.file_name().into_string().unwrap();
        let words: Vec<&str> = name.trim_end_matches(".1").split('-').collect();
        let command = match words.as_slice() {
            ["rpcplugin", "attach", action] => format!("rpcplugin attach PLUGIN {action}"),
            words => words.join(" "),
        };
        if name.contains("-help") {
            continue;
        }
        let text = std::fs::read_to_string(entry.path()).unwrap().replace("\\-", "-");
        let flags = text.split(|c: char| c.is_whitespace() || "[]|,=\\".contains(c));
        let mut known: Vec<&str> = flags.filter(|word| word.len() > 3 && word.starts_with("--")).collect();
        known.retain(|flag| flag[2..].chars().all(|c| c.is_ascii_lowercase() || c == '-'));
        known.push(&command);
        missing.extend(known.into_iter().filter(|word| !page.contains(*word)).map(str::to_owned));
    }
    missing.sort();
    missing.dedup();
    assert!(missing.is_empty(), "docs/cli.md lacks {missing:?}");
}
