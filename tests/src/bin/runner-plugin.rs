//! The plugin of the conformance of runners.

use std::process::ExitCode;

use rpcplugin::testing::PluginBehavior;

fn main() -> ExitCode {
    PluginBehavior::main()
}
