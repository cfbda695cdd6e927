//! The text of a lock file: TOML in a fixed order, so that two versions of it can be compared.

use std::collections::BTreeMap;

use toml_edit::{DocumentMut, Item, Key, Table, Value};

use super::Entry;
use crate::sandbox::Grants;

/// Reads a lock file. Everything in it has to be known: what this version does not know could be a restriction.
///
/// # Errors
/// What is wrong, for people.
pub(super) fn read(text: &str) -> Result<BTreeMap<String, Entry>, String> {
    let document: DocumentMut = text.parse().map_err(|error: toml_edit::TomlError| error.to_string())?;
    only(document.as_table(), &["version", "plugins"])?;
    match document.get("version").and_then(Item::as_integer) {
        Some(VERSION) => {}
        Some(other) => return Err(format!("its version is {other}, and this program knows {VERSION}")),
        None => return Err("it has no `version`".to_owned()),
    }
    let Some(plugins) = document.get("plugins") else { return Ok(BTreeMap::new()) };
    let plugins = plugins.as_table().ok_or("`plugins` is not a table")?;
    plugins.iter().map(|(name, item)| Ok((name.to_owned(), entry(name, item)?))).collect()
}

/// Writes a lock file.
pub(super) fn write(plugins: &BTreeMap<String, Entry>) -> String {
    let mut text = format!("{HEAD}version = {VERSION}\n");
    for (name, entry) in plugins {
        text += &format!("\n[plugins.{}]\nsha256 = {}\n", quoted_key(name), Value::from(&*entry.sha256));
        let Some(Grants { allow, limits, best_effort }) = &entry.sandbox else {
            text += "sandbox = false\n";
            continue;
        };
        text += &format!("sandbox = true\nallow = {}\n", list(allow));
        if !limits.is_empty() {
            text += &format!("limits = {}\n", list(limits));
        }
        if *best_effort {
            text += "best_effort = true\n";
        }
    }
    text
}

fn entry(name: &str, item: &Item) -> Result<Entry, String> {
    let in_entry = |why: &str| format!("the plugin `{name}` {why}");
    let table = item.as_table().ok_or_else(|| in_entry("is not a table"))?;
    only(table, &["sha256", "sandbox", "allow", "limits", "best_effort"])
        .map_err(|why| in_entry(&format!("has {why}")))?;
    let sha256 = table.get("sha256").and_then(Item::as_str).unwrap_or_default();
    if sha256.len() != 64 || !sha256.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
        return Err(in_entry("has no `sha256` of 64 hexadecimal digits"));
    }
    let lines = |key: &str| match table.get(key) {
        None => Ok(Vec::new()),
        Some(item) => item
            .as_array()
            .and_then(|lines| {
                lines.iter().map(|line| line.as_str().map(str::to_owned)).collect::<Option<Vec<_>>>()
            })
            .ok_or_else(|| in_entry(&format!("has an `{key}` that is not a list of texts"))),
    };
    let flag = |key: &str| match table.get(key) {
        None => Ok(None),
        Some(item) => item
            .as_bool()
            .map(Some)
            .ok_or_else(|| in_entry(&format!("has a `{key}` that is neither true nor false"))),
    };
    let grants = Grants {
        allow: lines("allow")?,
        limits: lines("limits")?,
        best_effort: flag("best_effort")?.unwrap_or(false),
    };
    let sandbox = match flag("sandbox")? {
        Some(true) => Some(grants),
        Some(false) if grants == Grants::default() => None,
        Some(false) => return Err(in_entry("has grants and no sandbox")),
        None => return Err(in_entry("has no `sandbox`")),
    };
    Ok(Entry { sha256: sha256.to_owned(), sandbox })
}

/// Refuses other keys than these.
fn only(table: &Table, known: &[&str]) -> Result<(), String> {
    match table.iter().find(|(key, _)| !known.contains(key)) {
        None => Ok(()),
        Some((key, _)) => Err(format!("a key that this program does not know: `{key}`")),
    }
}

/// A list with one text on each line.
fn list(texts: &[String]) -> String {
    if texts.is_empty() {
        return "[]".to_owned();
    }
    let lines: String = texts.iter().map(|text| format!("    {},\n", Value::from(text.as_str()))).collect();
    format!("[\n{lines}]")
}

/// A key in quotation marks, also where TOML does not need these: all keys look the same.
fn quoted_key(name: &str) -> String {
    let value = Value::from(name).to_string();
    // A text with a quotation mark in it may be written in another notation, which is valid for values only.
    if value.starts_with('"') && !value.starts_with("\"\"\"") { value } else { Key::new(name).to_string() }
}

/// The version of the file's form.
const VERSION: i64 = 1;

const HEAD: &str = "# The plugins that may be launched with `--locked`, and what each of them may do.\n\
                    # Made by `rpcplugin trust`. Review its changes as those of code.\n";

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> BTreeMap<String, Entry> {
        let grants = Grants {
            allow: vec!["connect tcp 443".to_owned(), "read ./data \"x\"\\\n".to_owned()],
            limits: vec!["memory=512M".to_owned()],
            best_effort: true,
        };
        let entry = |digit: &str, sandbox| Entry { sha256: digit.repeat(64), sandbox };
        BTreeMap::from([
            ("bin/kv".to_owned(), entry("a", Some(grants))),
            ("bin/a \"b\" 'c'\n".to_owned(), entry("0", Some(Grants::default()))),
            ("/opt/kv".to_owned(), entry("1", None)),
        ])
    }

    #[test]
    fn what_is_written_is_read() {
        let text = write(&sample());
        assert_eq!(read(&text).unwrap(), sample(), "{text}");
        assert_eq!(read(&write(&BTreeMap::new())).unwrap(), BTreeMap::new());
        let lines = "[plugins.\"/opt/kv\"]\nsha256 = \"1111111111111111111111111111111111111111111111111111111111111111\"\nsandbox = false\n";
        assert!(text.contains(lines), "{text}");
        assert!(text.contains("allow = [\n    \"connect tcp 443\",\n"), "{text}");
    }

    #[test]
    fn the_example_of_the_documentation_is_written_so() {
        let example = include_str!("example.toml");
        assert_eq!(write(&read(example).unwrap()), example);
    }

    #[test]
    fn a_file_that_says_something_else_is_refused() {
        let digest = "a".repeat(64);
        let plugin = |rest: &str| format!("version = 1\n[plugins.a]\n{rest}");
        for wrong in [
            String::new(),
            "version = 2".to_owned(),
            "version = 1\nplugins = 1".to_owned(),
            "version = 1\nsignature = \"x\"".to_owned(),
            "version = 1\n[plugins.a".to_owned(),
            plugin("sandbox = true"),
            plugin("sha256 = \"abc\"\nsandbox = true"),
            plugin(&format!("sha256 = \"{digest}\"")),
            plugin(&format!("sha256 = \"{digest}\"\nsandbox = \"no\"")),
            plugin(&format!("sha256 = \"{digest}\"\nsandbox = false\nallow = [\"read /\"]")),
            plugin(&format!("sha256 = \"{digest}\"\nsandbox = true\nallow = [1]")),
            plugin(&format!("sha256 = \"{digest}\"\nsandbox = true\ndeny = []")),
            plugin(&format!("sha256 = \"{digest}\"\nsandbox = true\n[plugins.a]\n")),
        ] {
            assert!(read(&wrong).is_err(), "{wrong}");
        }
    }
}
