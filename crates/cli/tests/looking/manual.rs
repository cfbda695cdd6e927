//! Completions, manual pages, and the page in `docs` that describes each command.

use crate::program::{rpcplugin, target};

#[test]
fn completions_for_every_shell() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        rpcplugin(["completions", shell]).ended_with(0).says(&["rpcplugin", "inspect", "handover"]);
    }
    rpcplugin(["completions", "none"]).ended_with(2);
}

#[test]
fn a_manual_page_for_every_command() {
    rpcplugin(["man"]).ended_with(0).says(&[".TH rpcplugin 1"]);
    let dir = tempfile::tempdir().unwrap();
    rpcplugin(["man", "--dir", dir.path().to_str().unwrap()]).ended_with(0);
    for page in ["rpcplugin.1", "rpcplugin-inspect.1", "rpcplugin-attach-call.1"] {
        assert!(dir.path().join(page).exists(), "{page}");
    }
}

/// The commands and flags that clap knows are all in `docs/cli.md`.
#[test]
fn everything_is_in_the_documentation() {
    let page = std::fs::read_to_string(target().join("../docs/cli.md")).unwrap();
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
    assert!(missing.is_empty(), "docs/cli.md says nothing of {missing:?}");
}
