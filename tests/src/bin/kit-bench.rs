//! The measuring host.

use std::process::ExitCode;

fn main() -> ExitCode {
    rpcplugin_tests::bench::main()
}
