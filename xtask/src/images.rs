//! Static programs, and images of containers made of them. No container engine is needed to make an image.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::toolchain::{Tool, first_line};
use crate::workspace::{self, Outcome, Workspace, cargo, succeed};

/// An image with one layer.
#[derive(Debug)]
pub(crate) struct Image<'a> {
    /// The name with its tag, for example `localhost/kv:1`.
    pub(crate) name: &'a str,
    pub(crate) entrypoint: &'a [&'a str],
    /// Programs: the path inside, and the file.
    pub(crate) files: &'a [(&'a str, &'a Path)],
    /// Symbolic links: the path inside, and the target.
    pub(crate) links: &'a [(&'a str, &'a str)],
}

/// Builds a Rust program that needs no library, with the C library of this machine, and returns its path. All its dependencies are compiled
/// once more.
pub(crate) fn static_rust(package: &str, name: &str) -> Outcome<PathBuf> {
    let triple = host()?;
    let mut build = cargo(["build", "--quiet", "--package", package, "--bin", name, "--target", &triple]);
    let variable = format!("CARGO_TARGET_{}_RUSTFLAGS", triple.to_uppercase().replace('-', "_"));
    // Symbols would be most of the image.
    build.env(variable, "-Ctarget-feature=+crt-static -Cstrip=symbols");
    succeed(&mut build)?;
    Ok(Workspace::load()?.target.join(&triple).join("debug").join(name))
}

/// Builds a program of `tests/interop/go/cmd` that needs no library, and returns its path. `None` without Go.
pub(crate) fn static_go(name: &str) -> Outcome<Option<PathBuf>> {
    if let Err(why) = Tool::Go.version() {
        println!("{name} in Go is SKIPPED: {why}");
        return Ok(None);
    }
    let program = Workspace::load()?.target.join("images").join("go").join(name);
    let mut build = Command::new("go");
    build
        .args(["build", "-trimpath", "-ldflags=-s -w", "-o"])
        .arg(&program)
        .arg(format!("./cmd/{name}"))
        .current_dir(workspace::root().join("tests/interop/go"))
        .env("CGO_ENABLED", "0");
    succeed(&mut build)?;
    Ok(Some(program))
}

/// The libraries that a program of this machine loads, with the loader. An image has them under the same paths. A static program has none.
pub(crate) fn libraries(program: &Path) -> Outcome<Vec<PathBuf>> {
    let output = Command::new("ldd").arg(program).env("LC_ALL", "C").output()?;
    if !output.status.success() {
        let complaint = String::from_utf8_lossy(&output.stderr);
        if complaint.contains("not a dynamic executable") {
            return Ok(Vec::new());
        }
        return Err(format!("ldd {}: {}: {complaint}", program.display(), output.status).into());
    }
    Ok(listed(&String::from_utf8(output.stdout)?))
}

/// The paths in the output of `ldd`: the right side of an arrow, or the first word.
fn listed(output: &str) -> Vec<PathBuf> {
    let path = |line: &str| {
        let words = line.split_once("=>").map_or(line, |(_, path)| path);
        let path = words.split_whitespace().next().filter(|path| path.starts_with('/'))?;
        Some(PathBuf::from(path))
    };
    output.lines().filter_map(path).collect()
}

/// Makes the archive of an image, as `podman load` and `docker load` read it, and returns its path below `directory`.
pub(crate) fn archive(directory: &Path, image: &Image<'_>) -> Outcome<PathBuf> {
    fs::create_dir_all(directory)?;
    let work = tempfile::tempdir_in(directory)?;
    let tree = work.path().join("tree");
    fs::create_dir(&tree)?;
    let place = |inside: &str| -> Outcome<PathBuf> {
        let path = tree.join(inside.trim_start_matches('/'));
        fs::create_dir_all(path.parent().ok_or("a file has no directory")?)?;
        Ok(path)
    };
    for (inside, file) in image.files {
        fs::copy(file, place(inside)?)?;
    }
    for (inside, target) in image.links {
        link(target, &place(inside)?)?;
    }
    let parts = work.path().join("parts");
    fs::create_dir(&parts)?;
    let layer = parts.join("layer.tar");
    pack(&tree, &layer)?;
    let digest = Sha256::digest(fs::read(&layer)?);
    let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    let config = json!({
        "architecture": if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" },
        "os": "linux",
        "config": { "Entrypoint": image.entrypoint },
        "rootfs": { "type": "layers", "diff_ids": [format!("sha256:{digest}")] },
    });
    let manifest = json!([{ "Config": "config.json", "RepoTags": [image.name], "Layers": ["layer.tar"] }]);
    for (name, content) in [("config.json", config), ("manifest.json", manifest)] {
        fs::File::create(parts.join(name))?.write_all(content.to_string().as_bytes())?;
    }
    let file = directory.join(image.name.replace(['/', ':'], "-")).with_extension("tar");
    pack(&parts, &file)?;
    Ok(file)
}

/// Packs what is in a directory. The same files give the same archive.
fn pack(directory: &Path, file: &Path) -> Outcome {
    let mut tar = Command::new("tar");
    tar.args(["--sort=name", "--mtime=@0", "--owner=0", "--group=0", "--numeric-owner", "-C"]);
    tar.arg(directory).arg("-cf").arg(file).arg(".");
    match tar.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("tar ended with {status}").into()),
        Err(error) => Err(format!("tar cannot be started: {error}").into()),
    }
}

#[cfg(unix)]
fn link(target: &str, path: &Path) -> std::io::Result<()> {
    std::os::unix::fs::symlink(target, path)
}

#[cfg(not(unix))]
fn link(_: &str, _: &Path) -> std::io::Result<()> {
    Err(std::io::ErrorKind::Unsupported.into())
}

/// The triple of this machine, for example `x86_64-unknown-linux-gnu`.
fn host() -> Outcome<String> {
    let output = Command::new("rustc").arg("-vV").current_dir(workspace::root()).output()?;
    let text = String::from_utf8(output.stdout)?;
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.ok_or("rustc does not say for which machine it compiles")?.to_owned())
}

/// Whether images can be made here.
pub(crate) fn obstacle() -> Option<String> {
    if !cfg!(target_os = "linux") {
        return Some("images are made on Linux".to_owned());
    }
    first_line(Command::new("tar").arg("--version")).err().map(|why| format!("no tar ({why})"))
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::*;

    fn list(archive: &Path) -> String {
        let output = Command::new("tar").arg("-tvf").arg(archive).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    }

    #[test]
    fn libraries_are_found_in_the_output_of_ldd() {
        let output =
            "\tlinux-vdso.so.1 (0x1)\n\tlibc.so.6 => /lib/libc.so.6 (0x2)\n\t/lib64/ld-linux.so.2 (0x3)\n";
        assert_eq!(listed(output), [PathBuf::from("/lib/libc.so.6"), PathBuf::from("/lib64/ld-linux.so.2")]);
    }

    #[test]
    fn an_archive_has_a_layer_whose_digest_is_in_the_config() {
        let directory = tempfile::tempdir().unwrap();
        let program = directory.path().join("program");
        fs::write(&program, "#!").unwrap();
        let image = Image {
            name: "localhost/kv:1",
            entrypoint: &["/bin/kv", "--fast"],
            files: &[("/bin/kv", &program)],
            links: &[("lib64", "usr/lib64")],
        };
        let made = archive(directory.path(), &image).unwrap();
        assert!(made.ends_with("localhost-kv-1.tar"), "{}", made.display());
        let parts = tempfile::tempdir().unwrap();
        let unpacked =
            Command::new("tar").arg("-xf").arg(&made).arg("-C").arg(parts.path()).status().unwrap();
        assert!(unpacked.success());
        let layer = parts.path().join("layer.tar");
        let listed = list(&layer);
        assert!(listed.contains("./bin/kv") && listed.contains("./lib64 -> usr/lib64"), "{listed}");
        let read = |name: &str| -> serde_json::Value {
            serde_json::from_slice(&fs::read(parts.path().join(name)).unwrap()).unwrap()
        };
        let digest: String =
            Sha256::digest(fs::read(&layer).unwrap()).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(read("config.json")["rootfs"]["diff_ids"][0], format!("sha256:{digest}"));
        assert_eq!(read("config.json")["config"]["Entrypoint"][1], "--fast");
        assert_eq!(read("manifest.json")[0]["RepoTags"][0], "localhost/kv:1");
        assert_eq!(fs::read(&made).unwrap(), fs::read(archive(directory.path(), &image).unwrap()).unwrap());
    }
}
