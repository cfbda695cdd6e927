//! OpenTofu and Terraform, with the demo provider in Rust and with real providers behind a tap.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use super::taps::Trace;
use super::{Place, must};
use crate::workspace::Outcome;

/// A provider with a configuration that uses it.
struct Provider {
    /// The last part of its address.
    name: &'static str,
    configuration: &'static str,
    /// The outputs that the configuration must have, in JSON.
    outputs: &'static str,
    /// Calls that a tap must show.
    calls: &'static [&'static str],
}

const DEMO: Provider = Provider {
    name: "demo",
    configuration: r#"
provider "demo" {
  prefix = "hello"
}
resource "demo_thing" "a" {
  name = "one"
}
output "id" {
  value = demo_thing.a.id
}
output "sum" {
  value = provider::demo::add(1, 2)
}
"#,
    outputs: r#"{"id": "thing-7692c3ad3540", "sum": 3}"#,
    calls: &["Provider/ApplyResourceChange", "Provider/CallFunction", "GRPCController/Shutdown"],
};

const TIME: Provider = Provider {
    name: "time",
    configuration: r#"
resource "time_static" "a" {
  rfc3339 = "2026-11-30T20:00:00Z"
}
output "year" {
  value = time_static.a.year
}
output "month" {
  value = provider::time::rfc3339_parse("2026-11-30T20:00:00Z").month
}
"#,
    outputs: r#"{"year": 2026, "month": 11}"#,
    calls: &["Provider/ApplyResourceChange", "Provider/CallFunction"],
};

const RANDOM: Provider = Provider {
    name: "random",
    configuration: r#"
resource "random_password" "a" {
  length = 24
}
resource "random_integer" "b" {
  min = 7
  max = 7
}
output "length" {
  value = nonsensitive(length(random_password.a.result))
}
output "number" {
  value = random_integer.b.result
}
"#,
    outputs: r#"{"length": 24, "number": 7}"#,
    calls: &["Provider/ApplyResourceChange", "Provider/ReadResource"],
};

pub(super) fn tofu_with_demo(place: &Place<'_>) -> Outcome<Vec<String>> {
    Run::new(place, place.built("tofu")?, &DEMO)?.whole(&place.programs.demo, false)
}

pub(super) fn tofu_with_tapped_demo(place: &Place<'_>) -> Outcome<Vec<String>> {
    Run::new(place, place.built("tofu")?, &DEMO)?.whole(&place.programs.demo, true)
}

pub(super) fn terraform_with_tapped_demo(place: &Place<'_>) -> Outcome<Vec<String>> {
    Run::new(place, "terraform".into(), &DEMO)?.whole(&place.programs.demo, true)
}

pub(super) fn tofu_with_tapped_time(place: &Place<'_>) -> Outcome<Vec<String>> {
    Run::new(place, place.built("tofu")?, &TIME)?.whole(&place.built("terraform-provider-time")?, true)
}

pub(super) fn terraform_with_tapped_time(place: &Place<'_>) -> Outcome<Vec<String>> {
    Run::new(place, "terraform".into(), &TIME)?.whole(&place.built("terraform-provider-time")?, true)
}

pub(super) fn tofu_with_tapped_random(place: &Place<'_>) -> Outcome<Vec<String>> {
    Run::new(place, place.built("tofu")?, &RANDOM)?.whole(&place.built("terraform-provider-random")?, true)
}

pub(super) fn terraform_with_tapped_random(place: &Place<'_>) -> Outcome<Vec<String>> {
    Run::new(place, "terraform".into(), &RANDOM)?.whole(&place.built("terraform-provider-random")?, true)
}

/// A host in a directory with a configuration.
struct Run<'a> {
    place: &'a Place<'a>,
    host: PathBuf,
    provider: &'static Provider,
    work: PathBuf,
}

impl<'a> Run<'a> {
    fn new(place: &'a Place<'a>, host: PathBuf, provider: &'static Provider) -> Outcome<Self> {
        let work = place.directory.join("work");
        fs::create_dir_all(&work)?;
        let name = provider.name;
        let required = format!(
            "terraform {{\n  required_providers {{\n    {name} = {{ source = \"hashicorp/{name}\" }}\n  }}\n}}\n"
        );
        fs::write(work.join("main.tf"), required + provider.configuration)?;
        let overrides = place.directory.join("providers").display().to_string();
        let found = format!(
            "provider_installation {{\n  dev_overrides {{\n    \"hashicorp/{name}\" = \"{overrides}\"\n  }}\n}}\n"
        );
        fs::write(place.directory.join("host.rc"), found)?;
        Ok(Self { place, host, provider, work })
    }

    /// Applies the configuration, reads the outputs, plans without a change, and destroys everything.
    fn whole(&self, provider: &Path, is_tapped: bool) -> Outcome<Vec<String>> {
        let file = format!("terraform-provider-{}", self.provider.name);
        if is_tapped {
            self.place.tapped(provider, "providers", &file)?;
        } else {
            self.place.placed(provider, "providers", &file)?;
        }
        let version = self.host("version", &["version", "-json"])?;
        let version: Value = serde_json::from_str(&version)?;
        self.host("apply", &["apply", "-auto-approve", "-no-color"])?;
        let seen: Value = serde_json::from_str(&self.host("output", &["output", "-json"])?)?;
        let expected: Value = serde_json::from_str(self.provider.outputs)?;
        let values = seen.as_object().into_iter().flatten();
        let values: Value = values.map(|(name, output)| (name.clone(), output["value"].clone())).collect();
        must(values == expected, format!("the outputs are {values}, and not {expected}"))?;
        self.host("plan", &["plan", "-detailed-exitcode", "-no-color"])?;
        self.host("destroy", &["destroy", "-auto-approve", "-no-color"])?;
        let state: Value = serde_json::from_slice(&fs::read(self.work.join("terraform.tfstate"))?)?;
        must(state["resources"] == json!([]), "resources are left after destroy")?;
        let mut done = vec![format!(
            "version {}: apply, output, plan without a change, destroy",
            version["terraform_version"].as_str().unwrap_or_default()
        )];
        if is_tapped {
            let trace = Trace::read(&self.place.trace())?;
            trace.must_show(self.provider.calls)?;
            trace.must_end_cleanly()?;
            done.push(trace.summary());
        }
        Ok(done)
    }

    fn host(&self, step: &str, arguments: &[&str]) -> Outcome<String> {
        let mut command = Command::new(&self.host);
        command
            .args(arguments)
            .current_dir(&self.work)
            .env("TF_CLI_CONFIG_FILE", self.place.directory.join("host.rc"))
            .env("TF_IN_AUTOMATION", "1")
            .env("CHECKPOINT_DISABLE", "1")
            .env("DEMO_STORE", self.place.directory.join("store"));
        self.place.succeed(&mut command, step)
    }
}
