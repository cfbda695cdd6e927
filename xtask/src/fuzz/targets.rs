//! The fuzz targets, as `tests/fuzzed` lists them.

use std::fs;

use crate::workspace::{self, Outcome};

/// A fuzz target.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) name: String,
    /// The bytes that it reads, in words.
    pub(super) reads: String,
    /// The code that it tests, as folders and files below `crates`, without their endings.
    pub(super) code: Vec<String>,
}

/// All targets, in their order.
pub(super) fn all() -> Outcome<Vec<Target>> {
    let targets = read(&fs::read_to_string(workspace::root().join(LIST))?);
    if targets.is_empty() {
        return Err(format!("{LIST} lists no targets").into());
    }
    Ok(targets)
}

/// Reads the list out of the source, because this program would be slow to build with all that the targets need.
fn read(source: &str) -> Vec<Target> {
    let list = source.split_once("TARGETS: &[Target] = &[").map_or("", |(_, list)| list);
    let list = list.split_once("\n];").map_or(list, |(list, _)| list);
    let target = |text: &str| {
        let (_, name) = text.split_once("name: \"")?;
        let (_, reads) = text.split_once("reads: \"")?;
        let (_, code) = text.split_once("tests: &[")?;
        let code = code.split(']').next()?.split('"').skip(1).step_by(2);
        Some(Target {
            name: name.split('"').next()?.to_owned(),
            reads: reads.split('"').next()?.to_owned(),
            code: code.map(str::to_owned).collect(),
        })
    };
    list.split("Target {").filter_map(target).collect()
}

const LIST: &str = "tests/fuzzed/src/lib.rs";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_read_out_of_the_source() {
        let source = r#"
            pub const TARGETS: &[Target] = &[
                Target { name: "a", reads: "x, y", tests: &["core/src/a", "core/src/b"], run: a::a },
                Target {
                    name: "b",
                    reads: "z",
                    tests: &["cli/src"],
                    run: b::b,
                },
];
            Target { name: "c", tests: &[] }
        "#;
        let target = |name: &str, reads: &str, code: &[&str]| Target {
            name: name.to_owned(),
            reads: reads.to_owned(),
            code: code.iter().map(|code| (*code).to_owned()).collect(),
        };
        let expected = [target("a", "x, y", &["core/src/a", "core/src/b"]), target("b", "z", &["cli/src"])];
        assert_eq!(read(source), expected);
    }

    #[test]
    fn each_target_has_code() {
        let targets = all().expect("targets");
        assert!(targets.len() > 20 && targets.iter().all(|target| !target.code.is_empty()), "{targets:?}");
    }
}
