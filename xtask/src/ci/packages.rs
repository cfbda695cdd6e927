//! The packages that would be published: they can be made, nothing is missing in them, and their contents build.
//!
//! `cargo package` builds each package apart with all of its dependencies, which takes a quarter of an hour. Here the
//! packages are unpacked side by side and checked as one workspace, with the dependencies that are compiled already.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use super::Step;
use crate::workspace::{self, Crate, Outcome, Workspace, cargo, succeed};

/// Files that each package has.
const FILES: &[&str] = &["Cargo.toml", "LICENSE-APACHE", "LICENSE-MIT", "README.md"];

/// Directories that a package has whole, if its crate has them.
const DIRECTORIES: &[&str] = &["examples", "src", "templates"];

/// Makes the packages, unpacks them and checks their contents.
pub(super) fn step() -> Step {
    Step::new("packages", format!("cargo {MAKE}"), || run().into())
}

/// Without `--offline` cargo would ask the registry anew for each package.
const MAKE: &str = "package --workspace --exclude rpcplugin-tests --exclude rpcplugin-instructions --exclude xtask --allow-dirty --quiet --offline --no-verify";

fn run() -> Outcome {
    // A package needs the dependencies of all systems.
    for line in ["fetch --locked", MAKE] {
        succeed(&mut cargo(line.split(' ')))?;
    }
    let workspace = Workspace::load()?;
    let packages: Vec<&Crate> = workspace.published().collect();
    let made = workspace.target.join("package");
    let unpacked = made.join("unpacked");
    if unpacked.exists() {
        fs::remove_dir_all(&unpacked)?;
    }
    fs::create_dir_all(&unpacked)?;
    let mut manifest =
        String::from("[workspace]\nresolver = \"3\"\nmembers = [\"*/\"]\n\n[patch.crates-io]\n");
    for package in &packages {
        let directory = directory(package);
        let archive = made.join(format!("{directory}.crate"));
        succeed(Command::new("tar").arg("-xzf").arg(&archive).arg("-C").arg(&unpacked))?;
        let missing = missing(&package.manifest.with_file_name(""), &unpacked.join(&directory))?;
        if !missing.is_empty() {
            return Err(format!("the package of {} has no {}", package.name, missing.join(", ")).into());
        }
        // The packages find each other here and not in the registry.
        manifest += &format!("{} = {{ path = \"{directory}\" }}\n", package.name);
    }
    let root = workspace::root();
    manifest += &format!("\n{}", profiles(&fs::read_to_string(root.join("Cargo.toml"))?));
    fs::write(unpacked.join("Cargo.toml"), manifest)?;
    fs::copy(root.join("Cargo.lock"), unpacked.join("Cargo.lock"))?;
    let mut check =
        cargo("check --workspace --examples --lib --bins --offline --quiet --manifest-path".split(' '));
    check.arg(unpacked.join("Cargo.toml")).arg("--target-dir").arg(&workspace.target);
    Ok(succeed(&mut check)?)
}

/// The name of the package's directory and archive.
fn directory(package: &Crate) -> String {
    format!("{}-{}", package.name, package.text("version"))
}

/// The files that a package should have and does not have.
fn missing(of_crate: &Path, package: &Path) -> Outcome<Vec<String>> {
    let mut wanted: BTreeSet<String> = FILES.iter().map(|&file| file.to_owned()).collect();
    let mut there: BTreeSet<String> =
        FILES.iter().filter(|file| package.join(file).is_file()).map(|&file| file.to_owned()).collect();
    for directory in DIRECTORIES {
        list(of_crate, directory, &mut wanted)?;
        list(package, directory, &mut there)?;
    }
    Ok(wanted.difference(&there).cloned().collect())
}

/// Adds the files in a directory and below it, relative to the top.
fn list(top: &Path, directory: &str, files: &mut BTreeSet<String>) -> Outcome {
    if !top.join(directory).exists() {
        return Ok(());
    }
    for entry in fs::read_dir(top.join(directory))? {
        let entry = entry?;
        let path = format!("{directory}/{}", entry.file_name().to_string_lossy());
        if entry.path().is_dir() {
            list(top, &path, files)?;
        } else {
            files.insert(path);
        }
    }
    Ok(())
}

/// The tables of profiles. With other profiles the dependencies would be compiled once more.
fn profiles(manifest: &str) -> String {
    let mut text = String::new();
    let mut inside = false;
    for line in manifest.split_inclusive('\n') {
        inside = if line.starts_with('[') { line.starts_with("[profile") } else { inside };
        text += if inside { line } else { "" };
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn profiles_are_copied_and_nothing_else() {
        let manifest =
            "[workspace]\na = 1\n[profile.dev]\nb = 2\n[profile.dev.package]\nc = 3\n[patch]\nd = 4\n";
        assert_eq!(profiles(manifest), "[profile.dev]\nb = 2\n[profile.dev.package]\nc = 3\n");
    }
    #[test]
    fn files_that_a_package_lacks_are_found() {
        let top = tempfile::tempdir().unwrap();
        let (of_crate, package) = (top.path().join("crate"), top.path().join("package"));
        for (place, file) in [
            (&of_crate, "src/a/b.rs"),
            (&of_crate, "src/lib.rs"),
            (&of_crate, "templates/x.in"),
            (&of_crate, "tests/t.rs"),
            (&package, "src/lib.rs"),
            (&package, "Cargo.toml"),
            (&package, "LICENSE-MIT"),
            (&package, "README.md"),
        ] {
            let file = place.join(file);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, "").unwrap();
        }
        assert_eq!(missing(&of_crate, &package).unwrap(), ["LICENSE-APACHE", "src/a/b.rs", "templates/x.in"]);
    }
}
