//! The ways to start a plugin: as a child process of this program, in a container, or in a pod.

mod any;
mod choice;
#[cfg(feature = "docker")]
mod docker;
mod explain;
mod in_image;
#[cfg(feature = "kube")]
mod kube;
mod options;

pub(crate) use self::{
    any::{AnyProcess, AnyRunner},
    choice::RunnerChoice,
    explain::explanation,
    in_image::InImage,
    options::RunnerOption,
};
