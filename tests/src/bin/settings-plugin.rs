//! The conformance plugin, set up by nothing but its environment.

use std::process::ExitCode;

fn main() -> ExitCode {
    rpcplugin_tests::kit_plugin::main_by_environment()
}
