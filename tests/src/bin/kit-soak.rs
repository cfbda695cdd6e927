//! The host that runs for hours. Without Linux it does nothing and fails.

use std::process::ExitCode;

fn main() -> ExitCode {
    #[cfg(target_os = "linux")]
    return rpcplugin_tests::soak::main();
    #[cfg(not(target_os = "linux"))]
    ExitCode::FAILURE
}
