//! Plugins in containers: `--runner docker:IMAGE`.

use rpcplugin::docker::{Container, Pull};

use super::{any::AnyRunner, in_image::InImage, options::RunnerOption};
use crate::error::UsageError;

/// Makes the container of a plugin.
///
/// # Errors
/// An unknown option, and an invalid value.
pub(super) fn runner(
    image: &str,
    inside: InImage,
    options: &[RunnerOption],
) -> Result<AnyRunner, UsageError> {
    let InImage { program, args, env, sandbox } = inside;
    // A person who names an image expects it to be fetched.
    let mut container = Container::new(image).pull(Pull::IfMissing);
    if let Some(program) = program {
        container = container.entrypoint([program]).args(args);
    }
    for (name, value) in env {
        container = container.env(name, value);
    }
    if let Some(sandbox) = sandbox {
        container = container.sandbox(sandbox);
    }
    for option in options {
        container = match option.key.as_str() {
            "pull" => container.pull(pull(option)?),
            "digest" => container.digest(&option.value),
            "memory" => container.memory(option.bytes()?),
            "cpus" => container.cpus(option.number()?),
            "pids" => container.pids(option.number()?),
            "runtime" => container.runtime(&option.value),
            "network" => container.network(&option.value),
            _ => return Err(option.unknown("docker", KEYS)),
        };
    }
    Ok(AnyRunner::Docker(Box::new(container)))
}

fn pull(option: &RunnerOption) -> Result<Pull, UsageError> {
    match option.value.as_str() {
        "always" => Ok(Pull::Always),
        "missing" => Ok(Pull::IfMissing),
        "never" => Ok(Pull::Never),
        _ => Err(option.invalid("use one of always, missing and never")),
    }
}

const KEYS: &str = "pull, digest, memory, cpus, pids, runtime, network";
