//! The conformance host.

use std::process::ExitCode;

fn main() -> ExitCode {
    rpcplugin_tests::kit_host::main()
}
