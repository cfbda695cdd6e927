//! The conformance plugin.

use std::process::ExitCode;

fn main() -> ExitCode {
    rpcplugin_tests::kit_plugin::main()
}
