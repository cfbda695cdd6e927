//! Hosts and plugins of the conformance kit.

use std::path::{Path, PathBuf};

use crate::{program::peer, running};

/// A program with its first arguments.
pub(crate) type Words = Vec<String>;

fn words(parts: &[&Path]) -> Words {
    parts.iter().map(|part| part.to_str().unwrap().to_owned()).collect()
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/interop/python").join(name)
}

pub(crate) fn host(language: &str) -> Option<Words> {
    match language {
        "rust" => running::of_the_tests("kit-host").map(|program| words(&[&program])),
        "go" => peer("go", "kit-host").map(|program| words(&[&program])),
        _ => peer("python", "bin/python").map(|python| words(&[&python, &script("kit_host.py")])),
    }
}

pub(crate) fn plugin(language: &str) -> Option<Words> {
    match language {
        "rust" => running::kit().map(|program| words(&[&program])),
        "go" => peer("go", "kit-plugin").map(|program| words(&[&program])),
        _ => peer("python", "bin/python").map(|python| words(&[&python, &script("kit_plugin.py")])),
    }
}
