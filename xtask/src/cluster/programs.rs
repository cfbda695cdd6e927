//! The programs of the node: those of Kubernetes and etcd, built from source, and those of Debian.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::toolchain::{Tool, first_line};
use crate::workspace::{self, Outcome, succeed};

/// The Go module that names the versions.
const MODULE: &str = "tests/cluster/programs";
const KUBERNETES: &str = "k8s.io/kubernetes";
const ETCD: &str = "go.etcd.io/etcd/server/v3";
const BUILT: [&str; 5] =
    ["kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kubectl"];

/// Names another folder for the programs, so that several checkouts can share them.
pub(super) const FOLDER: &str = "RPCPLUGIN_CLUSTER_BIN";

/// The packages of Debian that `tests/cluster/node` needs, each with a file of it.
const DEBIAN: [(&str, &str); 8] = [
    ("containerd", "/usr/bin/containerd"),
    ("runc", "/usr/sbin/runc"),
    ("containernetworking-plugins", "/usr/lib/cni/bridge"),
    ("busybox-static", "/bin/busybox"),
    ("iproute2", "/sbin/ip"),
    ("openssl", "/usr/bin/openssl"),
    ("socat", "/usr/bin/socat"),
    ("util-linux", "/usr/bin/unshare"),
];

/// Returns why this machine cannot run the node, if it cannot. With `build`, programs that are not built are no reason.
pub(super) fn obstacle(target: &Path, build: bool) -> Result<(), String> {
    if !cfg!(target_os = "linux") {
        return Err("the node needs Linux".to_owned());
    }
    if first_line(Command::new("id").arg("-u"))? != "0" {
        return Err("the node needs root".to_owned());
    }
    if let Some((package, _)) = DEBIAN.iter().find(|(_, file)| !Path::new(file).exists()) {
        return Err(format!("{package} is missing: it is a package of Debian (see .ci/run)"));
    }
    Tool::Go.version()?;
    match is_built(&folder(target)) {
        false if !build => Err(format!(
            "the programs of Kubernetes are not in {}: `cargo xtask cluster --full` builds them in ten minutes",
            folder(target).display()
        )),
        _ => Ok(()),
    }
}

/// Builds the programs that are missing or have another version.
pub(super) fn build(target: &Path) -> Outcome {
    let folder = folder(target);
    if is_built(&folder) {
        return Ok(());
    }
    fs::create_dir_all(&folder)?;
    let version = version().ok_or("tests/cluster/programs/go.mod names no version of Kubernetes")?;
    let mut numbers = version.trim_start_matches('v').split('.');
    let (major, minor) = (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default());
    // Kubernetes has its own version from the linker.
    let linker: String = ["k8s.io/component-base/version", "k8s.io/client-go/pkg/version"]
        .iter()
        .map(|package| {
            format!(
                " -X {package}.gitVersion={version} -X {package}.gitMajor={major} -X {package}.gitMinor={minor} \
                 -X {package}.gitTreeState=clean"
            )
        })
        .collect();
    let kubernetes = BUILT.iter().map(|name| format!("{KUBERNETES}/cmd/{name}"));
    go(&folder.join(""), &linker, kubernetes)?;
    go(&folder.join("etcd"), "", [ETCD.to_owned()])
}

/// The value of `PATH` with which the tests find kubectl.
pub(super) fn path(target: &Path) -> Outcome<OsString> {
    #[expect(clippy::disallowed_methods, reason = "the tests inherit it")]
    let inherited = env::var_os("PATH").unwrap_or_default();
    Ok(env::join_paths([folder(target)].into_iter().chain(env::split_paths(&inherited)))?)
}

fn go(output: &Path, linker: &str, packages: impl IntoIterator<Item = String>) -> Outcome {
    let mut command = Command::new("go");
    command.args(["build", "-trimpath", "-ldflags", &format!("-s -w{linker}"), "-o"]).arg(output);
    command.args(packages).current_dir(workspace::root().join(MODULE));
    command.envs([("CGO_ENABLED", "0"), ("GOFLAGS", "-buildvcs=false")]);
    Ok(succeed(&mut command)?)
}

fn folder(target: &Path) -> PathBuf {
    #[expect(clippy::disallowed_methods, reason = "a developer's switch")]
    env::var_os(FOLDER).map_or_else(|| super::directory(target).join("bin"), PathBuf::from)
}

/// Whether the folder has all programs, and Kubernetes in the version of the Go module.
fn is_built(folder: &Path) -> bool {
    let shown = first_line(Command::new(folder.join(BUILT[0])).arg("--version"));
    let are_there = BUILT.iter().chain(&["etcd"]).all(|name| folder.join(name).exists());
    are_there
        && version().is_some_and(|version| shown.is_ok_and(|shown| shown.ends_with(&format!(" {version}"))))
}

/// The version of Kubernetes in the Go module, such as `v1.35.4`.
fn version() -> Option<String> {
    let module = fs::read_to_string(workspace::root().join(MODULE).join("go.mod")).ok()?;
    let mut lines =
        module.lines().filter_map(|line| line.trim().trim_start_matches("require ").split_once(' '));
    lines.find(|(name, _)| *name == KUBERNETES).map(|(_, version)| version.trim().to_owned())
}
