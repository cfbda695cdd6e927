//! The conformance plugin with settings from its environment.

use std::process::ExitCode;

fn main() -> ExitCode {
    rpcplugin_tests::kit_plugin::main_by_environment()
}
