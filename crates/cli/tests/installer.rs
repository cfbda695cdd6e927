//! `install.sh` installs the archive that is made for this system, and nothing else.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

/// The targets of Unix systems for which a release has archives.
const TARGETS: [&str; 6] = [
    "x86_64-unknown-linux-gnu",
    "aarch64-unknown-linux-gnu",
    "x86_64-unknown-linux-musl",
    "aarch64-unknown-linux-musl",
    "x86_64-apple-darwin",
    "aarch64-apple-darwin",
];

/// The files of a release, with a script in place of the program.
struct Release {
    dir: tempfile::TempDir,
}

impl Release {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let program = dir.path().join("rpcplugin");
        fs::write(&program, "#!/bin/sh\necho rpcplugin 1.2.3\n").unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let release = Self { dir };
        for target in TARGETS {
            let mut archive = Command::new("bash");
            archive.arg(root().join(".ci/archive")).arg(target).arg(&program).arg(release.files());
            succeeds(&mut archive);
        }
        let sums = "if command -v sha256sum >/dev/null; then sha256sum *; else shasum -a 256 *; fi > ../sums && mv ../sums SHA256SUMS";
        succeeds(Command::new("sh").args(["-c", sums]).current_dir(release.files()));
        release
    }

    fn files(&self) -> PathBuf {
        self.dir.path().join("files")
    }

    fn installed(&self) -> PathBuf {
        self.dir.path().join("bin/rpcplugin")
    }

    fn install(&self) -> Output {
        let mut install = Command::new("sh");
        install
            .arg(root().join("crates/cli/installers/install.sh"))
            .env("RPCPLUGIN_DOWNLOADS", self.files())
            .env("RPCPLUGIN_INSTALL_DIR", self.dir.path().join("bin"))
            .env_remove("RPCPLUGIN_VERSION");
        install.stdin(Stdio::null()).output().unwrap()
    }
}

#[test]
fn the_program_is_installed_and_replaced() {
    let release = Release::new();
    for _ in 0..2 {
        let output = release.install();
        let stdout = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{output:?}");
        assert!(stdout.contains("installed rpcplugin 1.2.3 as "), "{stdout}");
        assert!(stdout.contains("to PATH"), "{stdout}");
        assert_eq!(names(release.installed().parent().unwrap()), ["rpcplugin"]);
    }
}

#[test]
fn an_archive_with_another_checksum_is_not_installed() {
    let release = Release::new();
    for target in TARGETS {
        let archive = release.files().join(format!("rpcplugin-cli-{target}.tar.gz"));
        let mut bytes = fs::read(&archive).unwrap();
        bytes.push(0);
        fs::write(archive, bytes).unwrap();
    }
    let output = release.install();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("checksum"), "{output:?}");
    assert!(!release.installed().exists());
}

#[test]
fn a_release_without_an_archive_for_this_system_is_an_error() {
    let release = Release::new();
    for target in TARGETS {
        fs::remove_file(release.files().join(format!("rpcplugin-cli-{target}.tar.gz"))).unwrap();
    }
    let output = release.install();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("cannot be downloaded"), "{output:?}");
    assert!(!release.installed().exists());
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect()
}

#[track_caller]
fn succeeds(command: &mut Command) {
    let output = command.stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{command:?}: {output:?}");
}
