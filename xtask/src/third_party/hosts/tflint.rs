//! tflint, with its ruleset for Terraform behind a tap. The ruleset calls tflint back over the broker.

use std::fs;
use std::process::Command;

use serde_json::Value;

use super::taps::Trace;
use super::{Place, must};
use crate::workspace::Outcome;

/// A configuration with one fault that the ruleset finds.
const CONFIGURATION: &str = "variable \"unused\" {\n  type = string\n}\n";

const SETTINGS: &str = "config {\n  call_module_type = \"none\"\n}\n\
                        plugin \"terraform\" {\n  enabled = true\n  preset = \"all\"\n}\n";

pub(super) fn tapped(place: &Place<'_>) -> Outcome<Vec<String>> {
    place.tapped(&place.built("tflint-ruleset-terraform")?, "plugins", "tflint-ruleset-terraform")?;
    let work = place.directory.join("work");
    fs::create_dir_all(&work)?;
    fs::write(work.join("main.tf"), CONFIGURATION)?;
    fs::write(work.join(".tflint.hcl"), SETTINGS)?;
    let mut tflint = Command::new(place.built("tflint")?);
    tflint
        .args(["--format", "json", "--force"])
        .current_dir(&work)
        .env("TFLINT_PLUGIN_DIR", place.directory.join("plugins"));
    let seen: Value = serde_json::from_str(&place.succeed(&mut tflint, "tflint")?)?;
    let rules: Vec<_> = seen["issues"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|issue| issue["rule"]["name"].as_str())
        .collect();
    must(
        rules.contains(&"terraform_unused_declarations"),
        format!("tflint reports {rules:?}, and not the unused variable"),
    )?;
    let trace = Trace::read(&place.trace())?;
    trace.must_show(&["RuleSet/Check", "RuleSet/ApplyConfig", "Runner/EmitIssue"])?;
    trace.must_show_brokered()?;
    trace.must_end_cleanly()?;
    Ok(vec![format!("{} issues, the unused variable among them", rules.len()), trace.summary()])
}
