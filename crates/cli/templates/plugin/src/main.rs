//! The program that a host launches. The library has its code, so that tests can start the plugin in their own process.

use std::process::ExitCode;

fn main() -> ExitCode {
    __snake___plugin::serve().main()
}
