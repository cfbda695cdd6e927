//! The page `docs/works-with.md`, made from the rows of all runs.

use std::path::Path;

use super::entry::Role;
use super::row::{Row, Verdict};
use super::{hosts, lists};

/// The names of the programs and scenarios that no run has given a row.
pub(super) fn without_row(rows: &Path) -> Vec<&'static str> {
    let entries = lists::GROUPS.iter().flat_map(|group| group.entries).map(|entry| entry.name);
    let names = entries.chain(hosts::SCENARIOS.iter().map(|scenario| scenario.name));
    names.filter(|name| Row::kept(name, rows).is_none()).collect()
}

/// Makes the page. Programs that have not been driven yet are left out.
pub(super) fn write(rows: &Path) -> String {
    let mut days: Vec<String> = Vec::new();
    let mut tables = String::new();
    let mut driven = 0;
    for group in lists::GROUPS {
        let kept: Vec<(Row, bool)> = group
            .entries
            .iter()
            .filter_map(|entry| Some((Row::kept(entry.name, rows)?, matches!(entry.role, Role::Host))))
            .collect();
        if kept.is_empty() {
            continue;
        }
        tables += &format!("\n## {}\n\n{TABLE}", group.title);
        for (row, is_host) in &kept {
            tables += &line(row, *is_host);
            driven += usize::from(matches!(row.verdict, Verdict::Works | Verdict::Refused(_)));
            days.push(row.day.clone());
        }
    }
    let scenarios: Vec<_> = hosts::SCENARIOS
        .iter()
        .filter_map(|scenario| Some((scenario.title, Row::kept(scenario.name, rows)?)))
        .collect();
    days.extend(scenarios.iter().map(|(_, row)| row.day.clone()));
    days.sort();
    days.dedup();
    let of = |verdict: &Verdict| matches!(verdict, Verdict::Works);
    let hosts = scenarios.iter().filter(|(_, row)| of(&row.verdict)).count();
    let when = match days.as_slice() {
        [] => String::new(),
        [day] => format!(" on {day}"),
        [first, .., last] => format!(" from {first} to {last}"),
    };
    let mut page = format!(
        "{HEAD}\n{driven} programs and {hosts} pairs of a real host and a plugin were driven{when}, with rpcplugin {}.\n",
        env!("CARGO_PKG_VERSION")
    );
    page += LEGEND;
    page += &tables;
    if !scenarios.is_empty() {
        page += HOSTS;
        for (title, row) in &scenarios {
            page += &format!("| {title} | {} | {} |\n", verdict(row), cell(&row.called.join(". ")));
        }
    }
    page
}

const HEAD: &str = "# What works with what\n\n\
    `cargo xtask third-party` has written this page. It builds programs of other projects from the Go module proxy, and takes some from\n\
    Debian. It drives each plugin with the program [`rpcplugin`](cli.md): `inspect`, calls that need neither an account nor a server, and\n\
    `conformance` with the preset of the ecosystem. It is not a part of CI.\n";

const LEGEND: &str = "\n\
    - *works*: `inspect` shows a healthy plugin that refuses unauthorized clients under AutoMTLS, each call gave what was expected, and\n  \
      `conformance` ran. A check that fails is a property of the plugin.\n\
    - *refused*: the plugin speaks another protocol than gRPC, and `rpcplugin` reports that with the code that is shown.\n\
    - *not built*: the reason is the last line of the build.\n\
    - A program of Debian has no list of its modules. Its go-plugin is the one that the package names in `Built-Using`.\n\
    - Plugins of Nomad, Conduit, Dkron, Steampipe and SPIRE are not in the list. Their presets are made after the sources of their hosts.\n";

const TABLE: &str = "| program | version | go-plugin | protocol | verdict | `conformance` | called |\n|---|---|---|---|---|---|---|\n";

const HOSTS: &str = "\n## Real hosts\n\n\
    Each host ran in a directory of its own. What a tap shows is compared with what has to be in it. Each plugin exited with status 0, if\n\
    nothing else is said, and no process was left.\n\n\
    | host and plugin | verdict | seen |\n|---|---|---|\n";

fn line(row: &Row, is_host: bool) -> String {
    let protocol = row.protocol.map(|version| version.to_string()).unwrap_or_default();
    let conformance = row.conformance.as_ref().map(|seen| {
        let mut text = format!("{} passed, {} skipped", seen.passed, seen.skipped);
        for (word, names) in [("failed", &seen.failed), ("warnings", &seen.warned)] {
            if !names.is_empty() {
                let names: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
                text += &format!(", {} {word}: {}", names.len(), names.join(", "));
            }
        }
        text
    });
    let called =
        if is_host { "see [real hosts](#real-hosts)".to_owned() } else { cell(&row.called.join(", ")) };
    format!(
        "| {} | {} | {} | {protocol} | {} | {} | {called} |\n",
        row.name,
        row.version,
        row.go_plugin.as_deref().unwrap_or_default(),
        verdict(row),
        conformance.unwrap_or_default(),
    )
}

/// The verdict in words.
pub(super) fn verdict(row: &Row) -> String {
    match &row.verdict {
        Verdict::Works => "works".to_owned(),
        Verdict::Refused(code) => format!("refused: `{code}`"),
        Verdict::Fails(why) => format!("**fails**: {}", cell(why)),
        Verdict::NotBuilt(why) => format!("not built: {}", cell(why)),
        Verdict::Host => "built".to_owned(),
    }
}

/// A text that stands in one cell of a table.
fn cell(text: &str) -> String {
    text.replace(['\n', '\r'], " ").replace('|', "\\|").replace('<', "\\<")
}

#[cfg(test)]
mod tests {
    use super::super::row::Conformance;
    use super::*;

    #[test]
    fn a_line_names_the_checks_that_failed() {
        let mut row = Row::new("kv", "2026-11-30", Verdict::Works);
        row.protocol = Some(5);
        row.called = vec!["`Kv/Put`".to_owned()];
        let failed = vec!["socket-private".to_owned()];
        row.conformance = Some(Conformance { passed: 50, skipped: 3, failed, warned: Vec::new() });
        let expected =
            "| kv |  |  | 5 | works | 50 passed, 3 skipped, 1 failed: `socket-private` | `Kv/Put` |\n";
        assert_eq!(line(&row, false), expected);
    }

    #[test]
    fn a_row_is_missing_until_it_is_kept() {
        let rows = tempfile::tempdir().expect("a directory");
        let missing = without_row(rows.path());
        let entries: usize = lists::GROUPS.iter().map(|group| group.entries.len()).sum();
        assert_eq!(missing.len(), entries + hosts::SCENARIOS.len());
        for name in &missing[1..] {
            Row::new(name, "2026-11-30", Verdict::Works).keep(rows.path()).expect("writable");
        }
        assert_eq!(without_row(rows.path()), missing[..1]);
        Row::new(missing[0], "2026-11-30", Verdict::Works).keep(rows.path()).expect("writable");
        assert!(without_row(rows.path()).is_empty());
    }

    #[test]
    fn a_reason_does_not_end_its_cell() {
        let row = Row::new("kv", "2026-11-30", Verdict::NotBuilt("a|b\nc".to_owned()));
        assert_eq!(verdict(&row), "not built: a\\|b c");
    }
}
