//! What would be published: that packages can be made, and that what is in them builds.
//!
//! `cargo package` builds each package apart, with all that it depends on, which takes a quarter of an hour. Here they
//! are unpacked side by side and checked as one workspace, with the dependencies that are compiled already.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use super::{Step, Verdict, run_cargo};
use crate::workspace::{self, Crate, Outcome, Workspace, cargo};

/// Makes the packages, unpacks them and checks what is in them.
pub(super) fn step() -> Step {
    Step { name: "packages", reproduce: format!("cargo {MAKE}"), action: Box::new(run) }
}

/// Without `--offline` cargo would ask the registry anew for each package.
const MAKE: &str = "package --workspace --exclude rpcplugin-tests --exclude rpcplugin-instructions --exclude xtask --allow-dirty --quiet --offline --no-verify";

fn run() -> Verdict {
    // What only other systems need is needed for a package too.
    for line in ["fetch --locked", MAKE] {
        match run_cargo(line, &[]) {
            Verdict::Pass => {}
            failed => return failed,
        }
    }
    check_contents().into()
}

fn check_contents() -> Outcome {
    let workspace = Workspace::load()?;
    let packages: Vec<&Crate> = workspace.crates.iter().filter(|one| one.published).collect();
    let made = workspace.target.join("package");
    let unpacked = made.join("unpacked");
    if unpacked.exists() {
        fs::remove_dir_all(&unpacked)?;
    }
    fs::create_dir_all(&unpacked)?;
    for package in &packages {
        let archive = made.join(format!("{}.crate", directory(package)));
        let status = Command::new("tar").arg("-xzf").arg(&archive).arg("-C").arg(&unpacked).status()?;
        if !status.success() {
            return Err(format!("{} cannot be unpacked: {status}", archive.display()).into());
        }
    }
    let root = workspace::root();
    let profiles = profiles(&fs::read_to_string(root.join("Cargo.toml"))?);
    fs::write(unpacked.join("Cargo.toml"), manifest(&packages, &profiles)?)?;
    fs::copy(root.join("Cargo.lock"), unpacked.join("Cargo.lock"))?;
    check(&unpacked, &workspace.target)
}

fn check(unpacked: &Path, target: &Path) -> Outcome {
    let status = cargo(["check", "--workspace", "--examples", "--lib", "--bins", "--offline", "--quiet"])
        .arg("--manifest-path")
        .arg(unpacked.join("Cargo.toml"))
        .arg("--target-dir")
        .arg(target)
        .status()?;
    if status.success() { Ok(()) } else { Err("what is in the packages does not build".into()) }
}

/// The workspace of the unpacked packages, which find each other there and not in the registry.
fn manifest(packages: &[&Crate], profiles: &str) -> Result<String, std::fmt::Error> {
    let mut text = String::from("[workspace]\nresolver = \"3\"\nmembers = [\n");
    for package in packages {
        writeln!(text, "    \"{}\",", directory(package))?;
    }
    text += "]\n\n[patch.crates-io]\n";
    for package in packages {
        writeln!(text, "{} = {{ path = \"{}\" }}", package.name, directory(package))?;
    }
    write!(text, "\n{profiles}")?;
    Ok(text)
}

/// As cargo names what it makes.
fn directory(package: &Crate) -> String {
    format!("{}-{}", package.name, package.text("version").unwrap_or_default())
}

/// The tables of profiles: with others, dependencies would be compiled once more.
fn profiles(manifest: &str) -> String {
    let mut text = String::new();
    let mut inside = false;
    for line in manifest.lines() {
        if line.starts_with('[') {
            inside = line.starts_with("[profile");
        }
        if inside {
            text += line;
            text.push('\n');
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn profiles_are_taken_and_nothing_else() {
        let manifest =
            "[workspace]\na = 1\n[profile.dev]\nb = 2\n[profile.dev.package]\nc = 3\n[patch]\nd = 4\n";
        assert_eq!(profiles(manifest), "[profile.dev]\nb = 2\n[profile.dev.package]\nc = 3\n");
    }
}
