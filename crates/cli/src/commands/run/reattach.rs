//! What other hosts need to attach to the plugin.

use rpcplugin::{
    Plugin,
    handshake::{ReattachConfig, ReattachConfigs},
};

use super::args::RunArgs;
use crate::{plugin_args::LaunchArgs, ui::shell_word::shell_quoted};

/// Returns the reattach configuration for other hosts, which do not end the plugin.
pub(super) fn shown_config(plugin: &Plugin) -> ReattachConfig {
    ReattachConfig { test: true, ..plugin.reattach_config() }
}

/// Returns the variable by which Terraform attaches to the plugin, for a shell.
pub(super) fn terraform_variable(args: &RunArgs, config: &ReattachConfig) -> Option<String> {
    let by_name = for_terraform(args, config)?;
    Some(format!("TF_REATTACH_PROVIDERS={}", shell_quoted(&by_name.to_string())))
}

/// Returns the value of TF_REATTACH_PROVIDERS for a Terraform provider or with `--name`.
pub(super) fn for_terraform(args: &RunArgs, config: &ReattachConfig) -> Option<ReattachConfigs> {
    let is_provider = args.launch.magic_cookie().key() == TERRAFORM;
    let name = args.name.clone().or_else(|| is_provider.then(|| provider_address(&args.launch)))?;
    Some(ReattachConfigs([(name, config.clone())].into()))
}

/// Returns Terraform's address of a provider with this file name, or the file name itself.
fn provider_address(launch: &LaunchArgs) -> String {
    let name = launch.name();
    match name.strip_prefix("terraform-provider-") {
        Some(rest) => {
            let short = rest.split('_').next().unwrap_or(rest);
            format!("registry.terraform.io/hashicorp/{short}")
        }
        None => name,
    }
}

/// The key of Terraform's magic cookie.
const TERRAFORM: &str = "TF_PLUGIN_MAGIC_COOKIE";
