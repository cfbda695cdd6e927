//! `cargo xtask ci --quick`: the checks and tests that a change needs most, in a time that a person can wait.
//!
//! Changed are the files that differ from the commit where this branch left `main`, and files that git does not know yet. The rule:
//!
//! | changed | checked |
//! |---|---|
//! | any file | format, generated references, house rules |
//! | a source or manifest of a crate | clippy; the crate's own tests; the tests in `tests` that [`MOST_OF`] names for it |
//! | `NAME.rs` or a file in the folder `NAME` of a crate's `tests` | clippy; that test alone |
//! | a seed, or a fuzz target | the seeds of all targets |
//! | the workspace's manifest, its lock file, or a file of the compiler | clippy, and a line that says so: run all of `cargo xtask ci` |
//!
//! clippy looks at the workspace, as in the whole run: cargo knows which crates have changed and which use them, and looks at no other again.
//! The tests of one crate are built with the features that this crate needs. The first such run compiles third-party crates again.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use super::{Step, by_cargo};
use crate::workspace::{Outcome, Workspace, root};
use crate::{docs, tidy};

/// The steps for the files that have changed.
pub(super) fn steps() -> Outcome<Vec<Step>> {
    let changed = changed()?;
    let plan = Plan::of(&changed, &Crates::load()?);
    println!("{} files have changed: {}", changed.len(), plan.shown());
    let mut steps = vec![
        by_cargo("fmt", "fmt --all --check", &[]),
        super::steps::by_xtask("references", "docs --check", || docs::run(&docs::Options { check: true })),
        super::steps::by_xtask("tidy", "tidy", tidy::run),
    ];
    if plan.lint {
        steps.push(by_cargo("clippy", super::steps::CLIPPY, &[]));
    }
    for (name, tests) in &plan.tests {
        steps.push(by_cargo("tests", &format!("test -p {name}{} --quiet", tests.arguments()), &[]));
    }
    Ok(steps)
}

/// The files that have changed, as paths in the workspace.
fn changed() -> Outcome<Vec<String>> {
    let base = git(&["merge-base", "main", "HEAD"]).or_else(|_| git(&["rev-parse", "HEAD"]))?;
    let mut files = git(&["diff", "--name-only", base.trim()])?;
    files += &git(&["ls-files", "--others", "--exclude-standard"])?;
    let files: BTreeSet<_> = files.lines().map(str::to_owned).collect();
    Ok(files.into_iter().collect())
}

fn git(arguments: &[&str]) -> Outcome<String> {
    let output = Command::new("git").args(arguments).current_dir(root()).output()?;
    match output.status.success() {
        true => Ok(String::from_utf8(output.stdout)?),
        false => Err(format!("git {} failed", arguments.join(" ")).into()),
    }
}

/// The folder and the name of each crate of the workspace.
#[derive(Debug, Default)]
struct Crates(Vec<(String, String)>);

impl Crates {
    fn load() -> Outcome<Self> {
        let mut crates = Self::default();
        for one in Workspace::load()?.crates {
            let folder = one.manifest.parent().and_then(|folder| folder.strip_prefix(root()).ok());
            let folder = folder.ok_or("a crate is outside of the workspace")?.display().to_string();
            crates.0.push((folder, one.name));
        }
        Ok(crates)
    }

    /// The crate that a file belongs to, and the file's path in it.
    fn of<'c, 'f>(&'c self, file: &'f str) -> Option<(&'c str, &'f str)> {
        let within = |(folder, name): &'c (String, String)| {
            Some((folder.len(), name.as_str(), file.strip_prefix(folder.as_str())?.strip_prefix('/')?))
        };
        let (_, name, path) = self.0.iter().filter_map(within).max_by_key(|(length, ..)| *length)?;
        Some((name, path))
    }
}

/// What is checked.
#[derive(Debug, Default, PartialEq, Eq)]
struct Plan {
    /// Whether clippy looks at the workspace.
    lint: bool,
    /// The tests that run, by the name of their crate.
    tests: BTreeMap<String, Tests>,
    /// Files whose change may break anything.
    beyond: Vec<String>,
}

/// The tests of one crate.
#[derive(Debug, PartialEq, Eq)]
enum Tests {
    All,
    /// The tests with these names.
    Some(BTreeSet<String>),
}

impl Plan {
    fn of(changed: &[String], crates: &Crates) -> Self {
        let mut plan = Self::default();
        for file in changed {
            if BEYOND.contains(&file.as_str()) {
                plan.lint = true;
                plan.beyond.push(file.clone());
            } else if file.starts_with("tests/fuzz/") {
                plan.test("rpcplugin-fuzzed", Some("seeds"));
            } else if let Some((name, path)) = crates.of(file) {
                plan.add(name, path);
            }
        }
        plan
    }

    /// Adds what a file of a crate needs.
    fn add(&mut self, name: &str, path: &str) {
        self.lint |= path.ends_with(".rs") || path == "Cargo.toml";
        if let Some(test) = path.strip_prefix("tests/") {
            let test = test.split('/').next().unwrap_or(test);
            self.test(name, Some(test.trim_end_matches(".rs")));
        } else if path.ends_with(".rs") || path == "Cargo.toml" {
            if name == TESTS {
                // Its library is used by all of its tests, which take a quarter of an hour.
                self.test(name, Some("portable"));
            } else {
                self.test(name, None);
            }
            for (_, most) in MOST_OF.iter().filter(|(of, _)| *of == name) {
                most.iter().for_each(|test| self.test(TESTS, Some(test)));
            }
        }
    }

    /// Adds a test of a crate, or all of its tests.
    fn test(&mut self, name: &str, test: Option<&str>) {
        let tests = self.tests.entry(name.to_owned()).or_insert_with(|| Tests::Some(BTreeSet::new()));
        match (tests, test) {
            (Tests::All, _) => {}
            (Tests::Some(some), Some(test)) => drop(some.insert(test.to_owned())),
            (tests, None) => *tests = Tests::All,
        }
    }

    fn shown(&self) -> String {
        let mut shown = format!("tests of {} crates", self.tests.len());
        if !self.beyond.is_empty() {
            shown += &format!("\n{} may change everything: run `cargo xtask ci` too", self.beyond.join(", "));
        }
        shown
    }
}

impl Tests {
    /// What `cargo test` needs to know.
    fn arguments(&self) -> String {
        match self {
            Self::All => String::new(),
            Self::Some(names) => names.iter().map(|name| format!(" --test {name}")).collect(),
        }
    }
}

/// The crate with the tests that start processes.
const TESTS: &str = "rpcplugin-tests";

/// The tests of that crate that run most of the code of another one, in seconds.
const MOST_OF: &[(&str, &[&str])] = &[
    ("rpcplugin-broker", &["broker_flat"]),
    ("rpcplugin-client", &["host_launch_many", "in_process"]),
    ("rpcplugin-handshake", &["wire"]),
    ("rpcplugin-server", &["in_process", "wire"]),
    ("rpcplugin-testing", &["in_process"]),
    ("rpcplugin-transport", &["in_process", "wire"]),
];

/// Files whose change may break anything.
const BEYOND: &[&str] = &["Cargo.toml", "Cargo.lock", "clippy.toml", "rust-toolchain.toml"];

#[cfg(test)]
mod tests {
    use super::*;

    fn crates() -> Crates {
        let folders = [
            ("crates/core", "core"),
            ("crates/broker", "rpcplugin-broker"),
            ("tests", TESTS),
            ("tests/fuzzed", "rpcplugin-fuzzed"),
        ];
        Crates(folders.map(|(folder, name)| (folder.to_owned(), name.to_owned())).to_vec())
    }

    fn plan(files: &[&str]) -> Plan {
        Plan::of(&files.iter().map(|file| (*file).to_owned()).collect::<Vec<_>>(), &crates())
    }

    #[track_caller]
    fn check(files: &[&str], lint: bool, tests: &[(&str, &str)]) {
        let plan = plan(files);
        assert_eq!(plan.lint, lint);
        let planned: Vec<_> =
            plan.tests.iter().map(|(name, tests)| (name.as_str(), tests.arguments())).collect();
        let expected: Vec<_> = tests.iter().map(|(name, tests)| (*name, (*tests).to_owned())).collect();
        assert_eq!(planned, expected);
    }

    #[test]
    fn a_source_needs_the_tests_of_its_crate() {
        check(&["crates/core/src/a.rs"], true, &[("core", "")]);
        check(&["crates/core/Cargo.toml"], true, &[("core", "")]);
        let broker = [("rpcplugin-broker", ""), (TESTS, " --test broker_flat")];
        check(&["crates/broker/src/a/b.rs"], true, &broker);
        check(&["tests/src/support.rs"], true, &[(TESTS, " --test portable")]);
    }

    #[test]
    fn a_test_needs_itself() {
        check(&["crates/core/tests/codes.rs"], true, &[("core", " --test codes")]);
        let files = ["tests/tests/wire.rs", "tests/tests/plugin/main.rs", "tests/tests/plugin/b.rs"];
        check(&files, true, &[(TESTS, " --test plugin --test wire")]);
        check(&["crates/core/tests/codes.rs", "crates/core/src/a.rs"], true, &[("core", "")]);
    }

    #[test]
    fn a_file_belongs_to_the_innermost_crate() {
        let seeds = [("rpcplugin-fuzzed", " --test seeds")];
        check(&["tests/fuzz/seeds/lane/a"], false, &seeds);
        check(&["tests/fuzzed/tests/seeds.rs"], true, &seeds);
        check(&["tests/fuzzed/src/lib.rs"], true, &[("rpcplugin-fuzzed", "")]);
    }

    #[test]
    fn a_page_needs_no_compiler_and_a_manifest_needs_everything() {
        check(&["docs/testing.md", "README.md", "crates/core/README.md"], false, &[]);
        check(&["Cargo.lock"], true, &[]);
        let shown = plan(&["Cargo.lock"]).shown();
        assert!(shown.contains("Cargo.lock may change everything"), "{shown}");
    }

    #[test]
    fn the_crates_and_tests_that_are_named_exist() {
        let crates = Crates::load().expect("the workspace");
        for (name, tests) in MOST_OF {
            assert!(crates.0.iter().any(|(_, known)| known == name), "{name}");
            for test in *tests {
                let file = root().join("tests/tests").join(test);
                assert!(file.with_extension("rs").exists() || file.join("main.rs").exists(), "{test}");
            }
        }
    }
}
