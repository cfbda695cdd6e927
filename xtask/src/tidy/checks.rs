//! The page on the protocol names the checks that prove its sections, and each of them exists.
//!
//! A section has a paragraph that begins with `Checked by:`, with names of checks in backticks, or the line `No check`. Names
//! are those of `rpcplugin conformance`, and behind the word `kit-host` those of the conformance hosts in Rust and Go. Each
//! check of `rpcplugin conformance` stands on the page.

use std::collections::BTreeSet;

use super::{Subject, Text};

const PAGE: &str = "docs/protocol.md";

/// Begins the paragraph with the checks of a section.
const CHECKED_BY: &str = "Checked by:";

/// Stands in place of that paragraph.
const NO_CHECK: &str = "No check";

/// Separates the checks of the program from those of the conformance hosts.
const KIT_HOST: &str = "kit-host";

/// Looks at each section of the page, and at each check of the program.
pub(super) fn check(subject: &Subject) -> Vec<String> {
    let Some(page) = subject.texts.iter().find(|text| text.path == PAGE) else {
        return vec![format!("there is no {PAGE}")];
    };
    faults(&page.content, &Checks::of(&subject.texts)).collect()
}

/// The names of all checks.
#[derive(Default)]
struct Checks<'t> {
    /// Those of `rpcplugin conformance`.
    program: BTreeSet<&'t str>,
    /// Those of the conformance hosts.
    kit_host: BTreeSet<&'t str>,
}

impl<'t> Checks<'t> {
    fn of(texts: &'t [Text]) -> Self {
        let mut checks = Self::default();
        for Text { path, content } in texts {
            let (content, _tests) = content.split_once("#[cfg(test)]").unwrap_or((content, ""));
            if path.starts_with("crates/cli/src/commands/conformance/") {
                checks.program.extend(names_after(content, "check!("));
            } else if path.starts_with("tests/src/kit_host/check/") {
                let macros = ["shared!(", "own!(", "alone!("];
                checks.kit_host.extend(macros.iter().flat_map(|start| names_after(content, start)));
            } else if path.starts_with("tests/interop/go/cmd/kit-host/") {
                checks.kit_host.extend(names_after(content, "\n\t{"));
            }
        }
        checks
    }
}

/// The names in quotation marks that stand directly behind this text.
fn names_after<'t>(text: &'t str, start: &str) -> impl Iterator<Item = &'t str> {
    let behind = text.match_indices(start).map(move |(at, _)| text[at + start.len()..].trim_start());
    behind.filter_map(|rest| Some(rest.strip_prefix('"')?.split_once('"')?.0))
}

fn faults<'p>(page: &'p str, checks: &'p Checks<'_>) -> impl Iterator<Item = String> + 'p {
    let mut found = Vec::new();
    let mut named = BTreeSet::new();
    // The heading of a section without checks until here.
    let mut open: Option<&str> = None;
    for paragraph in page.split("\n\n").map(str::trim) {
        if let Some(heading) = paragraph.strip_prefix("## ").or_else(|| paragraph.strip_prefix("### ")) {
            found.extend(open.take().map(without_checks));
            open = paragraph.starts_with("###").then_some(heading);
        } else if paragraph == NO_CHECK {
            open = None;
        } else if let Some(names) = paragraph.strip_prefix(CHECKED_BY) {
            open = None;
            let (program, kit_host) = names.split_once(KIT_HOST).unwrap_or((names, ""));
            let unknown = |names, known: &BTreeSet<_>, whose| {
                let gone = quoted(names).filter(|name| !known.contains(name));
                gone.map(|name| format!("{PAGE}: {whose} has no check `{name}`")).collect::<Vec<_>>()
            };
            found.extend(unknown(program, &checks.program, "`rpcplugin conformance`"));
            found.extend(unknown(kit_host, &checks.kit_host, KIT_HOST));
            if quoted(names).next().is_none() {
                found.push(format!("{PAGE}: `{CHECKED_BY}` names no check: write `{NO_CHECK}`"));
            }
            named.extend(quoted(program));
        }
    }
    found.extend(open.map(without_checks));
    let unnamed = checks.program.iter().filter(move |name| !named.contains(*name));
    found.into_iter().chain(unnamed.map(|name| format!("{PAGE}: no section names the check `{name}`")))
}

fn without_checks(heading: &str) -> String {
    format!("{PAGE}: the section {heading:?} has neither `{CHECKED_BY}` nor `{NO_CHECK}`")
}

/// The texts in backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(page: &str) -> Vec<String> {
        let text = |path: &str, content: &str| Text { path: path.to_owned(), content: content.to_owned() };
        let texts = [
            text(
                "crates/cli/src/commands/conformance/a.rs",
                "[check!(\n    \"line\",\n Must), check!(\"mux\", x)]",
            ),
            text("tests/src/kit_host/check/b.rs", "own!(\"stop\", stop), shared!(\"env\", env)"),
            text("tests/interop/go/cmd/kit-host/c.go", "{\n\t{\"redial\", f},\n\t\t{\"other\", g},\n}"),
            text("crates/cli/src/other.rs", "check!(\"elsewhere\")"),
        ];
        faults(page, &Checks::of(&texts)).collect()
    }

    const COMPLETE: &str = "# A\n\n## B\n\n### C\n\ntext\n\nChecked by: `line`,\n`mux`; kit-host `stop`, `redial`\n\n### D\n\nNo check\n";

    #[test]
    fn a_page_with_all_checks_has_no_fault() {
        assert_eq!(found(COMPLETE), Vec::<String>::new());
    }

    #[test]
    fn names_of_no_check_are_faults() {
        for (good, bad) in
            [("`line`", "`lime`"), ("`stop`", "`line`"), ("`redial`", "`other`"), ("`mux`", "`mux`, `env`")]
        {
            let page = COMPLETE.replace(good, bad);
            assert!(
                found(&page).iter().any(|fault| fault.contains("has no check")),
                "{page}: {:?}",
                found(&page)
            );
        }
        assert_eq!(found(&COMPLETE.replace("No check", "Checked by: hope")).len(), 1);
    }

    #[test]
    fn a_section_without_checks_and_a_check_without_a_section_are_faults() {
        for page in [
            COMPLETE.replace("No check", "text"),
            COMPLETE.replace("### D", "### D\n\n### E"),
            COMPLETE.replace(",\n`mux`", ""),
        ] {
            assert_eq!(found(&page).len(), 1, "{page}: {:?}", found(&page));
        }
    }
}
