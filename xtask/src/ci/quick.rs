//! `cargo xtask ci --quick`: the checks and tests that a change needs most, in a time that a person can wait.
//!
//! Changed are the files that differ from the commit where this branch left `main`, and files that git does not know yet. The rule:
//!
//! | changed | checked |
//! |---|---|
//! | any file | format, generated references, house rules |
//! | a source or manifest of a crate | clippy; the crate's own tests; the tests in `tests` that [`MOST_OF`] names for it |
//! | `NAME.rs` or a file in the folder `NAME` of a crate's `tests` | clippy; the test `NAME`, and the tests that include the file by `#[path]` |
//! | another file in a crate's `tests`, such as data, or a test that is no more | the crate's own tests |
//! | a seed, or a fuzz target | the seeds of all targets |
//! | the workspace's manifest, its lock file, or a file of the compiler | clippy, and a line that says so: run all of `cargo xtask ci` |
//!
//! clippy looks at the workspace, as in the whole run: cargo knows which crates have changed and which use them, and looks at no other again.
//! The tests of one crate are built with the features that this crate needs. The first such run compiles third-party crates again.

mod crates;

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use self::crates::{Crate, Crates};
use super::{Step, by_cargo};
use crate::workspace::{Outcome, root};
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
            } else if let Some((one, path)) = crates.of(file) {
                plan.add(one, path);
            }
        }
        plan
    }

    /// Adds what a file of a crate needs.
    fn add(&mut self, one: &Crate, path: &str) {
        let name = one.name.as_str();
        self.lint |= path.ends_with(".rs") || path == "Cargo.toml";
        if let Some(file) = path.strip_prefix("tests/") {
            let mut tests = one.tests_with(file).peekable();
            if tests.peek().is_none() {
                self.test(name, None);
            }
            tests.for_each(|test| self.test(name, Some(test)));
        } else if path.ends_with(".rs") || path == "Cargo.toml" {
            if name == TESTS {
                // All of its tests use its library, and take too long for a quick run.
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
        let one = |folder: &str, name: &str, tests: &[(&str, &[&str])]| Crate {
            folder: folder.to_owned(),
            name: name.to_owned(),
            tests: tests
                .iter()
                .map(|(test, files)| {
                    ((*test).to_owned(), files.iter().map(|file| (*file).to_owned()).collect())
                })
                .collect(),
        };
        let view = ["view/screen.rs", "commands/running.rs", "checks/program.rs"];
        let commands = ["commands/call.rs", "commands/running.rs", "checks/program.rs"];
        Crates(vec![
            one("crates/core", "core", &[("codes", &[])]),
            one("crates/broker", "rpcplugin-broker", &[]),
            one("crates/cli", "cli", &[("commands", &commands), ("new", &commands[2..]), ("view", &view)]),
            one("tests", TESTS, &[("plugin", &[]), ("wire", &["wire/support.rs"])]),
            one("tests/fuzzed", "rpcplugin-fuzzed", &[("seeds", &[])]),
        ])
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
    fn a_file_of_several_tests_needs_all_of_them() {
        check(&["crates/cli/tests/commands/call.rs"], true, &[("cli", " --test commands")]);
        check(&["crates/cli/tests/commands/running.rs"], true, &[("cli", " --test commands --test view")]);
        let all = [("cli", " --test commands --test new --test view")];
        check(&["crates/cli/tests/checks/program.rs"], true, &all);
    }

    #[test]
    fn data_and_a_test_that_is_no_more_need_all_tests_of_the_crate() {
        check(&["crates/core/tests/data/a.pem"], false, &[("core", "")]);
        check(&["crates/core/tests/gone.rs"], true, &[("core", "")]);
        check(&["crates/core/tests/gone/main.rs", "crates/core/tests/codes.rs"], true, &[("core", "")]);
        check(&["crates/cli/tests/view/gone.rs"], true, &[("cli", " --test view")]);
        check(&["crates/broker/tests/a.rs"], true, &[("rpcplugin-broker", "")]);
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
            assert!(crates.0.iter().any(|known| known.name == *name), "{name}");
            for test in *tests {
                let file = root().join("tests/tests").join(test);
                assert!(file.with_extension("rs").exists() || file.join("main.rs").exists(), "{test}");
            }
        }
    }
}
