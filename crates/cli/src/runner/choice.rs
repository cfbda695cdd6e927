//! The runner that `--runner` names.

use std::{fmt, str::FromStr};

use super::{any::AnyRunner, in_image::InImage, options::RunnerOption};
use crate::error::UsageError;

/// The value of `--runner`: a kind of runner, and an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RunnerChoice {
    kind: Kind,
    image: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Docker,
    Kube,
}

impl RunnerChoice {
    /// Makes the runner.
    ///
    /// # Errors
    /// An option that this runner does not have, and a value that is invalid.
    pub(crate) fn runner(&self, inside: InImage, options: &[RunnerOption]) -> Result<AnyRunner, UsageError> {
        match self.kind {
            #[cfg(feature = "docker")]
            Kind::Docker => super::docker::runner(&self.image, inside, options),
            #[cfg(feature = "kube")]
            Kind::Kube => super::kube::runner(&self.image, inside, options),
            #[cfg(not(all(feature = "docker", feature = "kube")))]
            kind => Err(kind.missing(inside, options)),
        }
    }

    /// Whether the plugin's sockets are files on this machine.
    pub(crate) fn has_sockets_here(&self) -> bool {
        self.kind == Kind::Docker
    }

    /// The last part of the image's name, without tag and digest.
    pub(crate) fn name(&self) -> &str {
        let name = self.image.split('@').next().unwrap_or(&self.image);
        let name = name.rsplit('/').next().unwrap_or(name);
        name.split(':').next().unwrap_or(name)
    }
}

#[cfg(not(all(feature = "docker", feature = "kube")))]
impl Kind {
    /// The error for a runner that is not compiled in.
    fn missing(self, _: InImage, _: &[RunnerOption]) -> UsageError {
        UsageError::new(
            format!("this program was built without the feature `{self}`, which `--runner {self}:…` needs"),
            format!("install it with the feature: `cargo install rpcplugin-cli --features {self}`"),
        )
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Docker => "docker",
            Self::Kube => "kube",
        })
    }
}

impl FromStr for RunnerChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (kind, image) = text.split_once(':').ok_or("expected docker:IMAGE or kube:IMAGE")?;
        if image.is_empty() {
            return Err(format!("the image is missing: expected {kind}:IMAGE"));
        }
        let kind = match kind {
            "docker" => Kind::Docker,
            "kube" => Kind::Kube,
            _ => return Err(format!("there is no runner `{kind}`: expected docker:IMAGE or kube:IMAGE")),
        };
        Ok(Self { kind, image: image.to_owned() })
    }
}

impl fmt::Display for RunnerChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.kind, self.image)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choice(text: &str) -> RunnerChoice {
        text.parse().unwrap()
    }

    #[test]
    fn a_missing_feature_is_named() {
        for (kind, is_built) in [("docker", cfg!(feature = "docker")), ("kube", cfg!(feature = "kube"))] {
            let choice = choice(&format!("{kind}:kv-plugin:1"));
            assert_eq!(choice.to_string(), format!("{kind}:kv-plugin:1"));
            assert_eq!(choice.has_sockets_here(), kind == "docker");
            let inside = || InImage { program: None, args: Vec::new(), env: Vec::new(), sandbox: None };
            match choice.runner(inside(), &[]) {
                Ok(_) => assert!(is_built),
                Err(error) => {
                    assert!(!is_built && error.to_string().contains(&format!("feature `{kind}`")), "{error}")
                }
            }
        }
        #[cfg(feature = "kube")]
        {
            let sandbox = Some(rpcplugin::sandbox::Sandbox::new());
            let confined = InImage { program: None, args: Vec::new(), env: Vec::new(), sandbox };
            let error = choice("kube:kv-plugin:1").runner(confined, &[]).unwrap_err();
            assert!(error.to_string().contains("no counterpart for --sandbox"), "{error}");
        }
        for wrong in ["docker", "podman:image", "docker:", ":image"] {
            assert!(wrong.parse::<RunnerChoice>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_name_of_a_plugin_is_that_of_its_image() {
        for (image, name) in [
            ("kv-plugin", "kv-plugin"),
            ("registry.example:5000/team/kv-plugin:1.2", "kv-plugin"),
            ("kv-plugin@sha256:0123", "kv-plugin"),
        ] {
            assert_eq!(choice(&format!("docker:{image}")).name(), name);
        }
    }
}
