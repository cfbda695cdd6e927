//! `rpcplugin call`: calls a method with JSON, without generated code.

mod argument_order;
mod json_values;
mod method;
mod requests;
mod status;

use std::{pin::pin, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use clap::Args;
use prost_reflect::{DynamicMessage, MethodDescriptor};
use rpcplugin::{
    Plugin,
    host::{Event, PluginExited},
};
use serde_json::{Value, json};
use tokio::{task::coop::consume_budget, time::timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Status, metadata::MetadataMap};

use self::requests::Requests;
use crate::{
    calls::{self, BytesCodec, Header},
    error::CommandError,
    exit::Exit,
    plugin_args::LaunchArgs,
    protojson::{self, Fault, Style, Types},
    schema::{GivenFiles, Schema, SchemaArgs, unknown_fields},
    ui::{
        Out, cause_texts, duration, error_as_json,
        log_record::show_record,
        style::{bad, dim, on_one_line},
    },
};

/// Launches a plugin, calls a method, and shuts the plugin down.
#[derive(Debug, Args)]
// With `--runner` the line would be too long for a terminal.
#[command(override_usage = "rpcplugin call [OPTIONS] <SERVICE/METHOD> <PLUGIN> [ARGS]...")]
pub(crate) struct CallArgs {
    #[command(flatten)]
    pub(crate) call: MethodArgs,
    #[command(flatten)]
    pub(crate) schema: SchemaArgs,
    #[command(flatten)]
    pub(crate) launch: LaunchArgs,
}

/// A method and its request.
#[derive(Debug, Args)]
pub(crate) struct MethodArgs {
    /// The method, as package.Service/Method. Package and service may be omitted if the name is unambiguous.
    #[arg(value_name = "SERVICE/METHOD")]
    pub(crate) method: String,
    /// The request as JSON, or @FILE. A request stream takes several JSON values one after the other. The default is stdin.
    #[arg(long, short = 'd', value_name = "JSON")]
    pub(crate) data: Option<String>,
    /// Sends metadata. The value is base64 if the name ends in -bin.
    #[arg(long, short = 'H', value_name = "NAME: VALUE", value_parser = calls::parse)]
    pub(crate) header: Vec<Header>,
    /// The timeout of the call, such as 5s.
    #[arg(long, value_name = "TIME", value_parser = duration::limit)]
    pub(crate) deadline: Option<Duration>,
    /// Shows fields with their default value.
    #[arg(long)]
    pub(crate) emit_defaults: bool,
    /// Shows the metadata of the response on stderr.
    #[arg(long)]
    pub(crate) show_metadata: bool,
}

/// A response has no JSON form.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[error("the response of type {message} has no JSON form: {fault}")]
#[diagnostic(
    code(rpcplugin::protocol::response_without_json),
    help("decode the bytes with `base64 -d | protoc --decode_raw`")
)]
struct ResponseWithoutJson {
    message: String,
    fault: Fault,
}

/// Launches the plugin, calls the method, and shuts the plugin down.
pub(crate) async fn run(args: &CallArgs, out: &mut Out) -> Result<Exit, CommandError> {
    argument_order::check_argument_order(&args.call.method, &args.launch)?;
    let files = args.schema.read()?;
    let host = args.launch.host();
    let mut events = host.events();
    let plugin = {
        let _working = out.working(format!("starting {}", args.launch.name()));
        args.launch.launch_by(&host).await?
    };
    // The events end when the host is dropped.
    drop(host);
    let schema = schema(files.as_ref(), &plugin, &args.call).await;
    let exit = call(&plugin, &schema, &args.call, out).await;
    plugin.shut_down().await;
    if matches!(exit, Ok(Exit::PluginExited)) && !out.is_json() {
        let mut heading = Some(dim("its log:"));
        while let Some(event) = events.next().await {
            if let Event::Log(record) = event.event {
                heading.take().into_iter().for_each(|heading| out.note(heading));
                out.record(&show_record(&record, args.launch.full));
            }
        }
    }
    exit
}

/// Returns the schema with the method: from the files alone if they describe it, and otherwise from the plugin too.
pub(crate) async fn schema(files: Option<&GivenFiles>, plugin: &Plugin, args: &MethodArgs) -> Schema {
    if let Some(files) = files.map(Schema::of_files)
        && method::find(&files, &args.method).is_ok()
    {
        return files;
    }
    Schema::of(files, &plugin.channel()).await
}

/// Calls a method of a running plugin, and prints the responses.
pub(crate) async fn call(
    plugin: &Plugin,
    schema: &Schema,
    args: &MethodArgs,
    out: &mut Out,
) -> Result<Exit, CommandError> {
    let method = method::find(schema, &args.method)?;
    let requests = Requests::open(args.data.as_deref(), &method)?;
    let called = exchange(plugin, &method, requests, args, out);
    let ended = match args.deadline {
        None => called.await?,
        Some(deadline) => match timeout(deadline, called).await {
            Ok(ended) => ended?,
            Err(_) => Err(Status::deadline_exceeded(format!(
                "the call took longer than {}",
                duration::show(deadline)
            ))),
        },
    };
    let status = match ended {
        Ok(Shown::All) => return Ok(Exit::Ok),
        Ok(Shown::Some) => return Ok(Exit::Failed),
        Err(status) => status,
    };
    report_status(&status, schema, out);
    Ok(if plugin.ended().is_some() { Exit::PluginExited } else { Exit::Failed })
}

/// Which responses have been printed as JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shown {
    All,
    /// Some have no JSON form. An error was printed in their place.
    Some,
}

/// Sends all requests and prints all responses as they arrive. The inner error is the status of the call.
async fn exchange(
    plugin: &Plugin,
    method: &MethodDescriptor,
    requests: Requests,
    args: &MethodArgs,
    out: &mut Out,
) -> Result<Result<Shown, Status>, CommandError> {
    let Requests { messages, mut failure } = requests;
    let outcome = async {
        let mut client = tonic::client::Grpc::new(plugin.channel())
            .max_decoding_message_size(usize::MAX)
            .max_encoding_message_size(usize::MAX);
        client.ready().await?;
        let mut request = Request::new(ReceiverStream::new(messages));
        calls::add(&args.header, request.metadata_mut());
        if let Some(deadline) = args.deadline {
            request.set_timeout(deadline);
        }
        // A call with streams works for all four kinds of method: without streams they have one message each.
        let response = client.streaming(request, method::path(method), BytesCodec).await?;
        if args.show_metadata {
            show_metadata("header", response.metadata(), out);
        }
        let mut responses = response.into_inner();
        let (types, mut count, mut shown) = (Types::new(method.parent_pool()), 0, Shown::All);
        let mut unknown = None;
        while let Some(message) = responses.message().await? {
            if !print_response(&message, method, &types, args.emit_defaults, out) {
                shown = Shown::Some;
            }
            // Printed once for responses with the same unknown fields.
            let read = DynamicMessage::decode(method.output(), message.clone()).ok();
            let found = read.as_ref().and_then(unknown_fields);
            if let Some(text) = found.as_ref().filter(|_| found != unknown) {
                out.note(dim(text));
            }
            unknown = found.or(unknown);
            count += 1;
            if out.has_lost_stdout() {
                return Ok(shown);
            }
            // Let the deadline and Ctrl-C take effect even if responses arrive faster than they are printed.
            consume_budget().await;
        }
        if args.show_metadata
            && let Some(trailers) = responses.trailers().await?
        {
            show_metadata("trailer", &trailers, out);
        }
        match count {
            0 if !method.is_server_streaming() => {
                Err(Status::internal("the plugin ended the call without a response"))
            }
            _ => Ok(shown),
        }
    };
    let mut outcome = pin!(outcome);
    tokio::select! {
        biased;
        Ok(error) = &mut failure => Err(error.into()),
        outcome = &mut outcome => match failure.try_recv() {
            // The invalid request ended the stream. The status that the plugin returned for this does not matter.
            Ok(error) => Err(error.into()),
            Err(_) => Ok(outcome),
        },
    }
}

/// Prints a response: on several lines, or on one line in a stream and with `--json`. Returns `false` for a response without a JSON
/// form, for which an error is printed.
fn print_response(
    message: &[u8],
    method: &MethodDescriptor,
    types: &Types,
    defaults: bool,
    out: &mut Out,
) -> bool {
    let lines = method.is_server_streaming() || out.is_json();
    let fault = match protojson::write(message, &method.output(), types, Style { pretty: !lines, defaults }) {
        Ok(json) if lines => {
            out.json_line(&json);
            return true;
        }
        Ok(json) => {
            out.json(&json);
            return true;
        }
        Err(fault) => fault,
    };
    let (field, bytes) = (fault.path(), STANDARD.encode(message));
    let error = ResponseWithoutJson { message: method.output().full_name().to_owned(), fault };
    if lines {
        let mut error = error_as_json(&error);
        error["field"] = field.into();
        error["bytes"] = bytes.as_str().into();
        out.json_line(&serde_json::json!({ "error": error }));
    }
    if !out.is_json() {
        out.report(&error.into());
    }
    if !lines {
        out.note(format_args!("{} {bytes}", dim("bytes")));
    }
    false
}

fn show_metadata(kind: &str, metadata: &MetadataMap, out: &mut Out) {
    for (name, value) in calls::readable(metadata) {
        out.note(dim(format_args!("{kind} {name}: {}", on_one_line(&value))));
    }
}

/// Returns the error of a call as JSON, with the members of every error.
fn call_error_as_json(status: &Status, details: &[Value]) -> Value {
    let source = std::error::Error::source(status);
    let mut error = match source.and_then(|source| source.downcast_ref::<PluginExited>()) {
        Some(ended) => error_as_json(ended),
        None => json!({
            "code": null,
            "message": status.message(),
            "causes": cause_texts(status),
            "help": null,
            "evidence": [],
        }),
    };
    error["kind"] = json!("call");
    error["grpc"] = json!({ "code": status::name(status.code()), "number": status.code() as i32 });
    error["details"] = json!(details);
    error
}

/// Prints the error of a call: on stdout with `--json`, and on stderr otherwise.
fn report_status(status: &Status, schema: &Schema, out: &mut Out) {
    let details = status::details(status, &schema.pool);
    if out.is_json() {
        out.json(&json!({ "error": call_error_as_json(status, &details) }));
        return;
    }
    let number = status.code() as i32;
    let code = bad(format_args!("{} ({number})", status::name(status.code())));
    // Further lines of the message are indented.
    out.note(format_args!("{code}: {}", status.message().trim_end().replace('\n', "\n    ")));
    let source = std::error::Error::source(status);
    if source.is_some_and(|source| source.is::<PluginExited>()) {
        // The details are from this library and repeat the message.
        return;
    }
    for detail in details {
        match serde_json::to_string_pretty(&detail) {
            Ok(text) => out.note(format_args!("{} {text}", dim("detail"))),
            Err(error) => out.note(error),
        }
    }
}
