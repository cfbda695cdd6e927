//! `tap install`, with hosts that find their plugin by its path.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use tempfile::TempDir;

use crate::{
    peers::{host, plugin},
    program::{Run, rpcplugin},
    running::of_the_tests,
};

/// A copy of a plugin in a directory of its own.
struct Copied {
    dir: TempDir,
    program: PathBuf,
}

impl Copied {
    fn of(program: &Path, name: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let copy = dir.path().join(name);
        fs::copy(program, &copy).unwrap();
        Self { dir, program: copy }
    }

    fn tap(&self, words: &[&str]) -> Run {
        let words = ["tap"].iter().chain(words).map(|word| (*word).to_owned());
        rpcplugin(words.chain([self.program.to_str().unwrap().to_owned()]))
    }

    fn files(&self) -> Vec<String> {
        let files = fs::read_dir(self.dir.path()).unwrap().flatten();
        let mut names: Vec<String> = files.map(|file| file.file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

#[test]
fn an_installed_tap_is_the_plugin_until_it_is_uninstalled() {
    let (Some(host), Some(plugin)) = (host("go"), plugin("go")) else { return };
    // Signs of the shell in the name.
    let copied = Copied::of(Path::new(&plugin[0]), "it's a $plugin");
    fs::set_permissions(&copied.program, fs::Permissions::from_mode(0o750)).unwrap();
    let original = fs::read(&copied.program).unwrap();
    let shown = copied.dir.path().join("shown");
    let output = format!("--output={}", shown.display());
    copied.tap(&["install", &output, "--only", "Kit/Put"]).ended_with(0).prints(&["is a tap now"]);
    assert_eq!(copied.files(), [".it's a $plugin.tapped", "it's a $plugin"]);
    assert_eq!(fs::metadata(&copied.program).unwrap().permissions().mode() & 0o777, 0o750);
    copied.tap(&["install"]).ended_with(2).prints(&["is a tap already", "tap uninstall"]);
    // Not the program `install` behind a tap.
    copied.tap(&["--json", "install"]).ended_with(2).prints(&["is a tap already"]);
    copied.tap(&["--only", "Put", "install"]).ended_with(2).prints(&["do not belong before"]);

    let mut command = Command::new(&host[0]);
    command.args(["check", "--auto-mtls", "--broker", "--"]).arg(&copied.program).stdin(Stdio::null());
    let checked = command.output().unwrap();
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stdout));
    let text = fs::read_to_string(&shown).unwrap();
    assert!(text.contains("conformance.v1.Kit/Put ") && !text.contains("conformance.v1.Kit/Get "), "{text}");

    copied.tap(&["uninstall"]).ended_with(0).prints(&["is the plugin again"]);
    assert_eq!(copied.files(), ["it's a $plugin", "shown"]);
    assert!(fs::read(&copied.program).unwrap() == original);
    copied.tap(&["uninstall"]).ended_with(2).prints(&["is not a tap"]);
    assert!(fs::read(&copied.program).unwrap() == original);
}

#[test]
fn a_file_that_is_no_program_and_a_program_that_is_in_the_way_are_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let copied = Copied { program: dir.path().join("plugin"), dir };
    copied.tap(&["install"]).ended_with(2).prints(&["is not a program"]);
    fs::write(&copied.program, "text").unwrap();
    copied.tap(&["install"]).ended_with(2).prints(&["is not a program"]);
    fs::set_permissions(&copied.program, fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(copied.dir.path().join(".plugin.tapped"), "precious").unwrap();
    copied.tap(&["install"]).ended_with(2).prints(&["another program was moved aside"]);
    copied.tap(&["uninstall"]).ended_with(2).prints(&["is not a tap"]);
    assert_eq!(fs::read_to_string(&copied.program).unwrap(), "text");
    assert_eq!(fs::read_to_string(copied.dir.path().join(".plugin.tapped")).unwrap(), "precious");
}

const CONFIGURATION: &str = r#"
terraform {
  required_providers {
    demo = { source = "example.com/accept/demo" }
  }
}
resource "demo_thing" "one" {
  name = "one"
}
"#;

/// Whether there is a Terraform. It has to be there if `RPCPLUGIN_REQUIRE` names it.
#[expect(clippy::disallowed_methods, reason = "the environment names the tests that must not be skipped")]
fn has_terraform() -> bool {
    let there = Command::new("terraform").arg("version").output().is_ok();
    let required = std::env::var_os("RPCPLUGIN_REQUIRE").unwrap_or_default();
    assert!(there || !required.to_string_lossy().contains("terraform"), "terraform is not there");
    there
}

/// The real Terraform with a provider that `dev_overrides` names.
#[test]
fn terraform_applies_and_destroys_through_a_tap() {
    let Some(provider) = of_the_tests("terraform-provider-demo") else { return };
    if !has_terraform() {
        return;
    }
    for disable_tls in ["", "1"] {
        let copied = Copied::of(&provider, "terraform-provider-demo");
        let place = tempfile::tempdir().unwrap();
        let shown = place.path().join("shown");
        for dir in ["work", "store", "tmp"] {
            fs::create_dir(place.path().join(dir)).unwrap();
        }
        let overrides = format!(
            "provider_installation {{\n  dev_overrides {{\n    \"example.com/accept/demo\" = \"{}\"\n  }}\n}}\n",
            copied.dir.path().display()
        );
        fs::write(place.path().join("terraform.rc"), overrides).unwrap();
        fs::write(place.path().join("work/main.tf"), CONFIGURATION).unwrap();
        copied.tap(&["install", "--show-values", &format!("--output={}", shown.display())]).ended_with(0);
        for line in [&["apply", "-auto-approve", "-no-color"][..], &["destroy", "-auto-approve", "-no-color"]]
        {
            let mut command = Command::new("terraform");
            command
                .args(line)
                .current_dir(place.path().join("work"))
                .env("TF_CLI_CONFIG_FILE", place.path().join("terraform.rc"))
                .env("CHECKPOINT_DISABLE", "1")
                .env("TF_DISABLE_PLUGIN_TLS", disable_tls)
                .env("DEMO_STORE", place.path().join("store"))
                .env("TMPDIR", place.path().join("tmp"))
                .stdin(Stdio::null());
            let output = command.output().unwrap();
            let text = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
            assert!(output.status.success(), "{text:?}");
        }
        let text = fs::read_to_string(&shown).unwrap();
        let tls = if disable_tls.is_empty() { ", AutoMTLS" } else { ", no AutoMTLS" };
        for part in [
            tls,
            "/ApplyResourceChange call",
            "/ApplyResourceChange OK after",
            " exited: exit status 0",
            r#""name":"one""#,
        ] {
            assert!(text.contains(part), "{part}\n{text}");
        }
        let left: Vec<_> =
            fs::read_dir(place.path().join("tmp")).unwrap().flatten().map(|file| file.path()).collect();
        assert!(left.is_empty(), "{left:?}");
    }
}
