//! Errors for the users of a host: a plugin that is not there, a request that the plugin refuses, and a plugin that dies.
//!
//! ```text
//! cargo run --example user-errors
//! ```
//!
//! One function of the host makes a report of each. The report has a message, a code and help. A program for a terminal prints it
//! with miette, and one with windows reads its parts.
#![expect(clippy::disallowed_methods, clippy::print_stdout, reason = "the program prints for people")]

use std::{env, error::Error as _, fmt::Display, process::ExitCode};

use miette::{Diagnostic as _, IntoDiagnostic as _, Report, Result, miette};
use rpcplugin::{
    Command, Host, LaunchError, MagicCookie, Serve,
    error::PlainReport,
    host::{LaunchFault, PluginExited, ProgramFault},
};
use tonic::{Code, Request, Response, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

#[path = "greeter/greeter.rs"]
mod greeter;

use greeter::{GreetRequest, GreetResponse, Greeter, GreeterClient, GreeterServer, named};

const COOKIE: (&str, &str) = ("USER_ERRORS_PLUGIN", "17aa-user-errors");

fn main() -> Result<ExitCode> {
    if env::var_os(COOKIE.0).is_some() { Ok(plugin()) } else { host() }
}

fn plugin() -> ExitCode {
    Serve::new(MagicCookie::new(COOKIE.0, COOKIE.1).expect("a key and a value"))
        .version(1, GreeterServer::new(Particular))
        .main()
}

/// A greeter that refuses some names, and dies of another.
struct Particular;

#[tonic::async_trait]
impl Greeter for Particular {
    async fn greet(&self, request: Request<GreetRequest>) -> Result<Response<GreetResponse>, Status> {
        let name = request.into_inner().name;
        if name.is_empty() {
            return Err(refused("name", "the name is empty", "write the name of the person"));
        }
        if name == "Medusa" {
            tracing::error!("turned to stone");
            // Stands for a fault that no handler can catch.
            std::process::abort();
        }
        Ok(Response::new(GreetResponse { greeting: format!("Hello, {name}!") }))
    }
}

/// A status that names the field with the fault, and has a code and help for people.
fn refused(field: &str, fault: &str, help: &str) -> Status {
    let mut details = ErrorDetails::new();
    details.add_bad_request_violation(field, fault);
    details.set_error_info("NAME_REFUSED", "greeter.example", [("help".to_owned(), help.to_owned())]);
    Status::with_error_details(Code::InvalidArgument, fault, details)
}

#[tokio::main]
async fn host() -> Result<ExitCode> {
    // The log of the plugin is not the subject here.
    let host =
        Host::new(MagicCookie::new(COOKIE.0, COOKIE.1)?, 1).configure(|config| config.print_logs = false);
    if let Err(error) = host.launch(Command::new("./greeter-that-is-not-there")).await {
        println!("{}", for_a_window(&error));
        println!("{}\n", PlainReport(&error));
    }

    let plugin = host.launch(Command::new(env::current_exe().into_diagnostic()?)).await?;
    let mut greeter = GreeterClient::new(plugin.channel());
    for name in ["", "Medusa"] {
        if let Err(status) = greeter.greet(named(name)).await {
            println!("{}\n", PlainReport(report(&status).as_ref()));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// A short text for people, by the kind of the fault.
fn for_a_window(error: &LaunchError) -> String {
    match &error.fault {
        LaunchFault::Program(ProgramFault::NotFound { program }) => {
            format!("The plugin {} is not installed.", program.display())
        }
        _ => format!("The plugin does not start: {error}"),
    }
}

/// The report of a call that has failed.
fn report(status: &Status) -> Report {
    // The plugin has exited. Its status and its own reason are in the source, with a code and help.
    if let Some(exited) = status.source().and_then(|source| source.downcast_ref::<PluginExited>()) {
        return miette!(code = text(exited.code()), help = text(exited.help()), "{exited}");
    }
    // The plugin answers with an error. Its details have a code and help.
    if let Some(info) = status.get_details_error_info() {
        let help = info.metadata.get("help").cloned().unwrap_or_default();
        return miette!(code = info.reason, help = help, "{}", status.message());
    }
    // Any other status: a deadline, or a method that this plugin does not have.
    miette!(code = format!("{:?}", status.code()), "the call has failed: {}", status.message())
}

/// The text of a part that not every error has.
fn text(part: Option<Box<dyn Display + '_>>) -> String {
    part.map(|part| part.to_string()).unwrap_or_default()
}
