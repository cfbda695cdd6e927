//! `docs/configuration.md`: every setting, with the test that shows its effect.

use std::fmt::Write as _;

use rpcplugin_config::{LegacyPolicy, LegacySetting, Setting, Side, legacy_settings, settings};

use super::Page;
use super::sources::Source;

/// Writes the page from the descriptions of the settings.
pub(super) fn page(sources: &[Source]) -> Page {
    let mut text = INTRODUCTION.to_owned();
    let mut faults = Vec::new();
    for (side, title, file) in SIDES {
        let proofs: Vec<String> = sources
            .iter()
            .filter(|source| source.path.starts_with(file))
            .flat_map(Source::test_functions)
            .collect();
        _ = write!(text, "\n## {title}\n\nEach is tested in `{file}`, under the name given.\n");
        let own: Vec<&Setting> = settings().iter().filter(|setting| setting.side == *side).collect();
        for setting in &own {
            let proof = setting.name.replace('.', "_");
            if !proofs.contains(&proof) {
                faults.push(format!("no test `{proof}` in {file} shows what `{}` does", setting.name));
            }
            entry(&mut text, setting, &proof);
        }
        let strays =
            proofs.iter().filter(|proof| !own.iter().any(|one| one.name.replace('.', "_") == **proof));
        faults.extend(strays.map(|proof| format!("{file}: `{proof}` is named after no setting")));
    }
    text.push_str(RETIRED);
    for one in legacy_settings() {
        retired_row(&mut text, one);
    }
    Page { path: "docs/configuration.md", text, faults }
}

fn entry(text: &mut String, setting: &Setting, proof: &str) {
    let variables: Vec<String> = setting.env.iter().map(|name| format!("`{name}`")).collect();
    let unit = if setting.unit.is_empty() {
        String::new()
    } else {
        format!("; a plain number counts {}", setting.unit)
    };
    _ = write!(
        text,
        "\n### `{}`\n\n{}\n\n- Variables: {}\n- Type: `{}`: {}{unit}\n- Default: `{}`\n",
        setting.name,
        setting.effect,
        if variables.is_empty() { "none".to_owned() } else { variables.join(", ") },
        setting.kind,
        setting.allowed,
        setting.default,
    );
    if setting.secret {
        text.push_str("- A secret: never shown in logs, errors or exports\n");
    }
    if !setting.pyvider.is_empty() {
        let names: Vec<String> = setting.pyvider.iter().map(|name| format!("`{name}`")).collect();
        _ = writeln!(text, "- In pyvider: {}", names.join(", "));
    }
    _ = writeln!(text, "- Test: `{proof}`");
}

fn retired_row(text: &mut String, one: &LegacySetting) {
    let treatment = match one.policy {
        LegacyPolicy::Refused => "refused".to_owned(),
        LegacyPolicy::OnlyNumber(number) => format!("only `{number}`, as it is anyway"),
        LegacyPolicy::OnlyFalse => "only `false`, as it is anyway".to_owned(),
        LegacyPolicy::Ignored => "ignored: it is for another program".to_owned(),
        _ => "see the source".to_owned(),
    };
    _ = writeln!(text, "| `{}` | {treatment} | {} | {} |", one.env, one.reason, one.remedy);
}

const SIDES: &[(Side, &str, &str)] = &[
    (Side::Plugin, "Settings of a plugin", "tests/tests/settings_plugin.rs"),
    (Side::Host, "Settings of a host", "tests/tests/settings_host"),
];

const INTRODUCTION: &str = "# Configuration

<!-- Made by `cargo xtask docs` from rpcplugin-config; change that. -->

What a program sets in code counts more than the environment, which counts more than a file (TOML, or JSON in a file
whose name ends in `.json`; the path is given by the program or in `PLUGIN_CONFIG_FILE`), which counts more than the
defaults. `rpcplugin::config::Loader` reads them. All faults are reported at once, each with its place.

Durations and sizes are written as people write them, `500ms` or `16MiB`; a variable whose name ends in `_MS` takes a
plain number as milliseconds. A value that begins with `file://` is read from that file. Names with a dot are in a table
of a TOML file: `http2.max_frame`.
";

const RETIRED: &str = "
## Settings of pyvider that have no equivalent

They could not do what their names say. They are never accepted silently.

| variable | treatment | why | instead |
|---|---|---|---|
";
