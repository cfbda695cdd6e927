//! The request that creates a container.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    path::Path,
};

use bollard::models::{
    ContainerCreateBody, HostConfig, HostConfigLogConfig, Mount, MountType, ResourcesUlimits,
};
use rpcplugin_client::LaunchEnvironment;
use rpcplugin_handshake::variable;

use crate::{
    error::DockerError,
    image::Image,
    options::BindMount,
    os::{DirOwner, ProcessLimit},
    translate::SOCKET_DIR,
    user::ContainerUser,
};

/// The options of a container that its request has as they are.
#[derive(Debug, Clone, Default)]
pub(crate) struct Options {
    pub(crate) memory: Option<u64>,
    pub(crate) cpus: Option<f64>,
    pub(crate) pids: Option<u32>,
    pub(crate) network: Option<String>,
    pub(crate) runtime: Option<String>,
    pub(crate) mounts: Vec<BindMount>,
    pub(crate) env: BTreeMap<String, Secret>,
    pub(crate) entrypoint: Option<Vec<String>>,
    pub(crate) args: Option<Vec<String>>,
    /// The size of `/tmp`, in bytes.
    pub(crate) tmpfs: Option<u64>,
    pub(crate) has_writable_root: bool,
    pub(crate) has_stdin: bool,
    pub(crate) limits: Vec<ProcessLimit>,
}

/// The value of a variable, which `Debug` hides.
#[derive(Clone)]
pub(crate) struct Secret(pub(crate) String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("..")
    }
}

/// Everything else that the request has.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Facts<'a> {
    pub(crate) image: &'a Image,
    pub(crate) user: &'a ContainerUser,
    pub(crate) environment: &'a LaunchEnvironment,
    pub(crate) dir_owner: Option<DirOwner>,
    /// Whether the directory has to be labelled, which needs the older of two forms.
    pub(crate) has_selinux: bool,
    pub(crate) labels: &'a HashMap<String, String>,
    /// Limits to set beside those of the options, if these have any.
    pub(crate) further_limits: &'a [ProcessLimit],
}

/// The body of the request.
pub(crate) fn body(options: &Options, facts: &Facts<'_>) -> Result<ContainerCreateBody, DockerError> {
    let socket_dir = BindMount::new(&facts.environment.socket_dir, Path::new(SOCKET_DIR), true);
    let mut mounts = options.mounts.iter().map(mounted).collect::<Result<Vec<_>, _>>()?;
    let binds = if facts.has_selinux {
        Some(vec![relabelled(&socket_dir)?])
    } else {
        mounts.push(mounted(&socket_dir)?);
        None
    };
    // For an engine, zero is no limit.
    let number = |value: u64| i64::try_from(value).unwrap_or(i64::MAX).max(1);
    let host_config = HostConfig {
        binds,
        mounts: Some(mounts),
        memory: options.memory.map(number),
        // More would be swap.
        memory_swap: options.memory.map(number),
        // A number that is too large becomes the largest one, and what is no number becomes the smallest one.
        nano_cpus: options.cpus.map(|cpus| ((cpus * 1e9) as i64).max(1)),
        pids_limit: options.pids.map(|pids| number(pids.into())),
        network_mode: Some(options.network.clone().unwrap_or_else(|| "none".to_owned())),
        ulimits: ulimits(&options.limits, facts.further_limits),
        runtime: options.runtime.clone(),
        userns_mode: facts.user.namespace.clone(),
        group_add: (!facts.user.groups.is_empty()).then(|| facts.user.groups.clone()),
        cap_drop: Some(vec!["ALL".to_owned()]),
        security_opt: Some(vec!["no-new-privileges".to_owned()]),
        readonly_rootfs: Some(!options.has_writable_root),
        tmpfs: Some(HashMap::from([(
            "/tmp".to_owned(),
            format!("rw,nosuid,nodev,mode=1777,size={}", options.tmpfs.unwrap_or(TMPFS)),
        )])),
        // The host has the whole log, and the engine keeps no copy.
        log_config: Some(HostConfigLogConfig { typ: Some("none".to_owned()), config: None }),
        ..HostConfig::default()
    };
    Ok(ContainerCreateBody {
        image: Some(facts.image.id.clone()),
        user: facts.user.user.clone(),
        env: Some(env(options, facts)?),
        entrypoint: options.entrypoint.clone(),
        cmd: options.args.clone(),
        labels: Some(facts.labels.clone()),
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        attach_stdin: Some(options.has_stdin),
        open_stdin: Some(options.has_stdin),
        stdin_once: Some(options.has_stdin),
        host_config: Some(host_config),
        ..ContainerCreateBody::default()
    })
}

/// The variables: those of the handshake, with the paths and numbers that they have in the container, then those of the options.
fn env(options: &Options, facts: &Facts<'_>) -> Result<Vec<String>, DockerError> {
    let mut env: BTreeMap<String, String> = BTreeMap::from([("TMPDIR".to_owned(), SOCKET_DIR.to_owned())]);
    for (name, value) in facts.environment.remote_env() {
        let value = match (name.as_str(), facts.dir_owner) {
            (variable::UNIX_SOCKET_DIR, _) => SOCKET_DIR.to_owned(),
            // The group has no name in the container.
            (variable::UNIX_SOCKET_GROUP, Some(owner)) => owner.ids.gid.to_string(),
            // The value is not shown: it may be the cookie.
            _ => value.into_string().map_err(|_| DockerError::InvalidOption {
                value: name.clone(),
                expected: "a variable with a value in UTF-8, as the engine takes it",
            })?,
        };
        env.insert(name, value);
    }
    env.extend(options.env.iter().map(|(name, value)| (name.clone(), value.0.clone())));
    Ok(env.into_iter().map(|(name, value)| format!("{name}={value}")).collect())
}

/// The form that fails if the directory does not exist.
fn mounted(mount: &BindMount) -> Result<Mount, DockerError> {
    Ok(Mount {
        typ: Some(MountType::BIND),
        source: Some(text(&mount.source)?.to_owned()),
        target: Some(text(&mount.target)?.to_owned()),
        read_only: Some(!mount.is_writable),
        ..Mount::default()
    })
}

/// The form that labels a directory of this library for SELinux, so that the container may use it. Other directories keep
/// their labels.
fn relabelled(mount: &BindMount) -> Result<String, DockerError> {
    let (source, target) = (text(&mount.source)?, text(&mount.target)?);
    let invalid = |path: &str| DockerError::InvalidOption {
        value: path.to_owned(),
        expected: "a path without a colon, which separates paths here",
    };
    if let Some(path) = [source, target].into_iter().find(|path| path.contains(':')) {
        return Err(invalid(path));
    }
    Ok(format!("{source}:{target}:z"))
}

/// The limits of each process. Those that are asked for come before the further ones of the same name.
fn ulimits(asked: &[ProcessLimit], further: &[ProcessLimit]) -> Option<Vec<ResourcesUlimits>> {
    let is_asked = |limit: &&ProcessLimit| asked.iter().any(|asked| asked.name == limit.name);
    let further = further.iter().filter(|limit| !is_asked(limit));
    (!asked.is_empty()).then(|| asked.iter().chain(further).map(ulimit).collect())
}

fn ulimit(limit: &ProcessLimit) -> ResourcesUlimits {
    let number = |value: u64| Some(i64::try_from(value).unwrap_or(i64::MAX));
    ResourcesUlimits { name: Some(limit.name.to_owned()), soft: number(limit.soft), hard: number(limit.hard) }
}

fn text(path: &Path) -> Result<&str, DockerError> {
    path.to_str().filter(|path| path.starts_with('/')).ok_or_else(|| DockerError::InvalidOption {
        value: path.display().to_string(),
        expected: "an absolute path in UTF-8",
    })
}

/// The size of `/tmp`, in bytes.
const TMPFS: u64 = 64 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn further_limits_stand_beside_those_that_are_asked_for() {
        let limit = |name, most| ProcessLimit { name, soft: most, hard: most };
        let (asked, further) =
            ([limit("core", 0), limit("nofile", 9)], [limit("nofile", 7), limit("nproc", 8)]);
        let found = ulimits(&asked, &further).unwrap_or_default();
        let found: Vec<_> =
            found.iter().map(|found| (found.name.as_deref().unwrap_or_default(), found.hard)).collect();
        assert_eq!(found, [("core", Some(0)), ("nofile", Some(9)), ("nproc", Some(8))]);
        assert_eq!(ulimits(&[], &further), None, "the engine has its own defaults");
    }
}
