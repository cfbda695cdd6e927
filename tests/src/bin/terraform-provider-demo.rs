//! The demo provider for Terraform.

use std::process::ExitCode;

fn main() -> ExitCode {
    rpcplugin_tests::terraform_demo::main()
}
