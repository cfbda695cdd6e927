//! The arguments that say which plugin to launch and as which host, and the launch itself.

mod args;
mod expected_variable;
mod launch;
mod not_started;
mod presets;
mod refused_version;
mod tls_files;

pub(crate) use self::{
    args::LaunchArgs,
    expected_variable::expected_variable,
    refused_version::{refuses_a_version, without_zero},
    tls_files::{TlsFiles, TlsFilesError},
};
