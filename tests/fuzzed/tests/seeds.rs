//! Each seed of `tests/fuzz/seeds` runs through the body of its target, and each target is complete.
#![cfg(unix)]

use std::{
    collections::BTreeSet,
    fs,
    panic::catch_unwind,
    path::{Path, PathBuf},
};

use rpcplugin_fuzzed::TARGETS;

#[test]
fn every_seed_keeps_the_properties_of_its_target() {
    let mut failed = Vec::new();
    for target in TARGETS {
        let seeds = files(&fuzz().join("seeds").join(target.name));
        assert!(!seeds.is_empty(), "{} has no seeds", target.name);
        for seed in seeds {
            let bytes = fs::read(&seed).expect("a seed");
            if catch_unwind(|| (target.run)(&bytes)).is_err() {
                failed.push(seed);
            }
        }
    }
    assert!(failed.is_empty(), "properties do not hold for {failed:#?}");
}

#[test]
fn every_target_has_a_program_and_code_that_exists() {
    let names: BTreeSet<String> = TARGETS.iter().map(|target| target.name.to_owned()).collect();
    let stems = |folder: &str| -> BTreeSet<String> {
        let stem = |path: &PathBuf| Some(path.file_stem()?.to_str()?.to_owned());
        files(&fuzz().join(folder)).iter().filter_map(stem).collect()
    };
    assert_eq!(stems("fuzz_targets"), names);
    assert_eq!(stems("seeds"), names);
    let manifest = fs::read_to_string(fuzz().join("Cargo.toml")).expect("a manifest");
    let page = fs::read_to_string(fuzz().join("README.md")).expect("a page");
    let crates = fuzz().join("../../crates");
    for target in TARGETS {
        let name = target.name;
        assert!(manifest.contains(&format!("name = \"{name}\"")), "{name} is not in the manifest");
        assert!(page.contains(&format!("| `{name}` |")), "{name} is not in the README");
        let program = fs::read_to_string(fuzz().join(format!("fuzz_targets/{name}.rs"))).expect("a program");
        assert!(
            program.contains(&format!("= rpcplugin_fuzzed::body(\"{name}\");")),
            "{name} runs another body"
        );
        for code in target.tests {
            let exists = crates.join(code).exists() || crates.join(format!("{code}.rs")).exists();
            assert!(exists, "{name} tests {code}, which does not exist");
        }
    }
}

/// What stands in a folder, in order.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    files
}

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz")
}
