//! A row of the page: what was seen of one program or in one scenario. Rows are kept between runs, one file for each.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::workspace::Outcome;

/// What was seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Row {
    pub(super) name: String,
    /// The day of the run.
    pub(super) day: String,
    pub(super) version: String,
    /// The version of go-plugin in the program.
    pub(super) go_plugin: Option<String>,
    pub(super) verdict: Verdict,
    /// The version of the application's protocol, as the handshake line has it.
    pub(super) protocol: Option<u64>,
    pub(super) conformance: Option<Conformance>,
    /// The calls that were made, and how each ended.
    pub(super) called: Vec<String>,
}

/// How a program did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Verdict {
    /// Everything that was expected was seen.
    Works,
    /// The program speaks another protocol, and was refused with this code.
    Refused(String),
    /// Something else was seen than expected.
    Fails(String),
    /// It could not be built.
    NotBuilt(String),
    /// It is a program for a scenario.
    Host,
}

/// What `rpcplugin conformance` reports.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Conformance {
    pub(super) passed: u64,
    pub(super) skipped: u64,
    /// The names of the checks of a `MUST` that failed.
    pub(super) failed: Vec<String>,
    /// The names of the checks of a `SHOULD` that failed.
    pub(super) warned: Vec<String>,
}

impl Row {
    /// A row with the name and the day only.
    pub(super) fn new(name: &str, day: &str, verdict: Verdict) -> Self {
        Self {
            name: name.to_owned(),
            day: day.to_owned(),
            version: String::new(),
            go_plugin: None,
            verdict,
            protocol: None,
            conformance: None,
            called: Vec::new(),
        }
    }

    /// Whether the program was built, and something else was seen than expected.
    pub(super) fn is_wrong(&self) -> bool {
        matches!(self.verdict, Verdict::Fails(_))
    }

    /// Writes the row into the directory of all rows.
    pub(super) fn keep(&self, directory: &Path) -> Outcome {
        fs::create_dir_all(directory)?;
        Ok(fs::write(directory.join(format!("{}.json", self.name)), serde_json::to_vec_pretty(self)?)?)
    }

    /// Reads the row of an earlier run, if there was one.
    pub(super) fn kept(name: &str, directory: &Path) -> Option<Self> {
        serde_json::from_slice(&fs::read(directory.join(format!("{name}.json"))).ok()?).ok()
    }
}
