//! One program for both sides: it does risky work in a second process of the same program.
//!
//! ```text
//! cargo run --example self-launching
//! ```
//!
//! There is one file to ship, and both sides always have the same version. A fault in the work (in C code, a stack overflow,
//! a limit on memory) ends the second process and not the program. The program recognises that it is the worker by the magic
//! cookie in its environment, which `Serve` checks again.
#![expect(clippy::disallowed_methods, clippy::print_stdout, reason = "the program prints for people")]

use std::{env, process::ExitCode};

use miette::{IntoDiagnostic as _, Result};
use rpcplugin::{Command, Host, MagicCookie, Serve};
use tonic::{Request, Response, Status};

#[path = "greeter/greeter.rs"]
mod greeter;

use greeter::{GreetRequest, GreetResponse, Greeter, GreeterClient, GreeterServer, named};

/// Only this program starts the worker, so that the cookie is an implementation detail.
const COOKIE: (&str, &str) = ("SELF_LAUNCHING_WORKER", "d20f-self-launching");

fn main() -> Result<ExitCode> {
    if env::var_os(COOKIE.0).is_some() { Ok(worker()) } else { program() }
}

fn worker() -> ExitCode {
    Serve::new(MagicCookie::new(COOKIE.0, COOKIE.1).expect("a key and a value"))
        .version(1, GreeterServer::new(Recursive))
        .main()
}

/// Work that needs more stack for longer input.
struct Recursive;

#[tonic::async_trait]
impl Greeter for Recursive {
    async fn greet(&self, request: Request<GreetRequest>) -> Result<Response<GreetResponse>, Status> {
        let name = &request.get_ref().name;
        let depth = name.len() as u64;
        if depth > 1000 {
            bottomless(depth);
        }
        Ok(Response::new(GreetResponse { greeting: format!("Hello, {name}!") }))
    }
}

/// Overflows the stack, which ends the process in every case.
#[expect(unconditional_recursion, reason = "the program survives this fault")]
fn bottomless(depth: u64) -> u64 {
    std::hint::black_box([depth; 64])[0] + bottomless(depth + 1)
}

#[tokio::main]
async fn program() -> Result<ExitCode> {
    let host = Host::new(MagicCookie::new(COOKIE.0, COOKIE.1)?, 1);
    for name in ["Ada".to_owned(), "x".repeat(2000), "Grace".to_owned()] {
        let worker = host.launch(Command::new(env::current_exe().into_diagnostic()?)).await?;
        // If a call on this channel fails because the process has exited, the error says how.
        let mut greeter = GreeterClient::new(worker.channel());
        match greeter.greet(named(&name)).await {
            Ok(answer) => println!("{}", answer.into_inner().greeting),
            Err(status) => println!("the work failed, the program goes on: {}", status.message()),
        }
        worker.shut_down().await;
    }
    Ok(ExitCode::SUCCESS)
}
