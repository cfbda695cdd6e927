//! The host of the guide: launches a greeter plugin in any language, and calls it.
//!
//! ```text
//! cargo build --example greeter-plugin && cargo run --example greeter-host [PLUGIN [ARGUMENT…]]
//! ```
#![expect(clippy::print_stdout, reason = "the program prints for people")]

use std::env;

use miette::{IntoDiagnostic as _, Result};
use rpcplugin::{Command, Host, MagicCookie};

#[path = "greeter/greeter.rs"]
mod greeter;

use greeter::{GreetRequest, GreeterClient};

#[tokio::main]
async fn main() -> Result<()> {
    let mut arguments = env::args_os().skip(1);
    let beside = env::current_exe().into_diagnostic()?.with_file_name("greeter-plugin");
    let program = arguments.next().map_or(beside, Into::into);

    let host = Host::new(MagicCookie::new("GREETER_PLUGIN", "hello")?, 1);
    let plugin = host.launch(Command::new(program).args(arguments)).await?;
    let mut greeter = GreeterClient::new(plugin.channel());
    let answer = greeter.greet(GreetRequest { name: "Ada".to_owned() }).await.into_diagnostic()?;
    println!("{}", answer.into_inner().greeting);
    println!("the plugin {}", plugin.shut_down().await);
    Ok(())
}
