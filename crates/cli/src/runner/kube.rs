//! Plugins in pods: `--runner kube:IMAGE`.

use rpcplugin_kube::{Bridge, Limits, Pod, Pull};

use super::{any::AnyRunner, in_image::InImage, options::RunnerOption};
use crate::error::UsageError;

/// Makes the pod of a plugin.
///
/// # Errors
/// A sandbox, an unknown option, and an invalid value.
pub(super) fn runner(
    image: &str,
    inside: InImage,
    options: &[RunnerOption],
) -> Result<AnyRunner, UsageError> {
    let InImage { program, args, env, sandbox } = inside;
    if sandbox.is_some() {
        return Err(UsageError::new(
            "a pod has no counterpart for --sandbox: its files are in its image, its network is that of the cluster, and nodes limit \
             neither open files nor processes for one pod",
            "leave out --sandbox: a pod has no rights and a root that cannot be written. Limit it with --runner-option memory=64m and a \
             NetworkPolicy, or run the plugin with --runner docker:IMAGE",
        ));
    }
    let mut pod = Pod::new(image);
    if let Some(program) = program {
        pod = pod.command([program]).args(args);
    }
    for (name, value) in env {
        pod = pod.env(name, value);
    }
    let mut limits = Limits::new();
    for option in options {
        pod = match option.key.as_str() {
            "namespace" => pod.namespace(&option.value),
            "context" => pod.context(&option.value),
            "pull" => pod.pull(pull(option)?),
            "digest" => pod.digest(&option.value),
            "memory" => {
                limits = limits.memory(option.bytes()?);
                pod
            }
            "cpus" => {
                limits = limits.cpus(option.number()?);
                pod
            }
            "runtime-class" => pod.runtime_class(&option.value),
            "service-account" => pod.service_account(&option.value),
            "pull-secret" => pod.pull_secret(&option.value),
            "bridge" => pod.bridge(Bridge::in_image(&option.value)),
            _ => return Err(option.unknown("kube", KEYS)),
        };
    }
    Ok(AnyRunner::Kube(Box::new(pod.limits(limits))))
}

fn pull(option: &RunnerOption) -> Result<Pull, UsageError> {
    match option.value.as_str() {
        "always" => Ok(Pull::Always),
        "missing" => Ok(Pull::IfMissing),
        "never" => Ok(Pull::Never),
        _ => Err(option.invalid("use one of always, missing and never")),
    }
}

const KEYS: &str =
    "namespace, context, pull, digest, memory, cpus, runtime-class, service-account, pull-secret, bridge";
