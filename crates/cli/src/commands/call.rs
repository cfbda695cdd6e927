//! `rpcplugin call`: a call with JSON, of any kind of method, without generated code.

mod codec;
mod headers;
mod method;
mod order;
mod requests;
mod status;
mod texts;

use std::{pin::pin, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use clap::Args;
use prost_reflect::{DynamicMessage, MethodDescriptor};
use rpcplugin::{Event, Plugin, PluginExited};
use serde_json::{Value, json};
use tokio::{task::coop::consume_budget, time::timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Status, metadata::MetadataMap};

use self::{codec::BytesCodec, headers::Header, requests::Requests};
use crate::{
    error::CommandError,
    exit::Exit,
    plugin_args::LaunchArgs,
    protojson::{self, Fault, Style, Types},
    schema::{Given, Schema, SchemaArgs, unknown_fields},
    ui::{
        Out, causes, duration, error_as_json,
        log_record::show_record,
        style::{bad, dim, on_one_line},
    },
};

/// Launches a plugin, calls one of its methods, and ends it.
#[derive(Debug, Args)]
pub(crate) struct CallArgs {
    #[command(flatten)]
    pub(crate) call: MethodArgs,
    #[command(flatten)]
    pub(crate) schema: SchemaArgs,
    #[command(flatten)]
    pub(crate) launch: LaunchArgs,
}

/// A method, and what it is called with.
#[derive(Debug, Args)]
pub(crate) struct MethodArgs {
    /// The method, as package.Service/Method. What is unambiguous without its package or service may be given so.
    #[arg(value_name = "SERVICE/METHOD")]
    pub(crate) method: String,
    /// The request as JSON, or @FILE; several one after the other for a stream. By default it is read from the standard
    /// input.
    #[arg(long, short = 'd', value_name = "JSON")]
    pub(crate) data: Option<String>,
    /// Sends metadata. The value of a name that ends in -bin is base64.
    #[arg(long, short = 'H', value_name = "NAME: VALUE", value_parser = headers::parse)]
    pub(crate) header: Vec<Header>,
    /// How long the call may take, such as 5s.
    #[arg(long, value_name = "TIME", value_parser = duration::limit)]
    pub(crate) deadline: Option<Duration>,
    /// Shows fields that have their default value too.
    #[arg(long)]
    pub(crate) emit_defaults: bool,
    /// Shows the metadata of the answer, on stderr.
    #[arg(long)]
    pub(crate) show_metadata: bool,
}

/// An answer cannot be said in JSON.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[error("the answer, a {message}, has no JSON form: {fault}")]
#[diagnostic(
    code(rpcplugin::protocol::answer_without_json),
    help("its bytes are given in base64; `base64 -d | protoc --decode_raw` shows what is in them")
)]
struct WithoutJson {
    message: String,
    fault: Fault,
}

/// Launches the plugin, calls, and ends it.
pub(crate) async fn run(args: &CallArgs, out: &mut Out) -> Result<Exit, CommandError> {
    order::check(&args.call.method, &args.launch)?;
    let files = args.schema.read()?;
    let host = args.launch.host();
    let mut events = host.events();
    let plugin = {
        let _working = out.working(format!("starting {}", args.launch.name()));
        args.launch.launch_by(&host).await?
    };
    // Its events end with its host.
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

/// What describes the method: the user's files, and where they do not, the plugin too.
pub(crate) async fn schema(files: Option<&Given>, plugin: &Plugin, args: &MethodArgs) -> Schema {
    if let Some(files) = files.map(Schema::of_files)
        && method::find(&files, &args.method).is_ok()
    {
        return files;
    }
    Schema::of(files, &plugin.channel()).await
}

/// Calls a method of a plugin that runs, and prints what it answers.
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
                "the call took longer than the {} it was given",
                duration::show(deadline)
            ))),
        },
    };
    let status = match ended {
        Ok(Shown::All) => return Ok(Exit::Ok),
        Ok(Shown::Some) => return Ok(Exit::Failed),
        Err(status) => status,
    };
    tell(&status, schema, out);
    Ok(if plugin.ended().is_some() { Exit::PluginExited } else { Exit::Failed })
}

/// What of the answers has been printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shown {
    All,
    /// Some have no JSON form, and were said to have none.
    Some,
}

/// Sends all requests and prints all answers, as they come. The inner error is what the plugin, or the connection, says.
async fn exchange(
    plugin: &Plugin,
    method: &MethodDescriptor,
    requests: Requests,
    args: &MethodArgs,
    out: &mut Out,
) -> Result<Result<Shown, Status>, CommandError> {
    let Requests { messages, mut failure } = requests;
    let answered = async {
        let mut client = tonic::client::Grpc::new(plugin.channel())
            .max_decoding_message_size(usize::MAX)
            .max_encoding_message_size(usize::MAX);
        client.ready().await?;
        let mut request = Request::new(ReceiverStream::new(messages));
        headers::add(&args.header, request.metadata_mut());
        if let Some(deadline) = args.deadline {
            request.set_timeout(deadline);
        }
        // One way for all four kinds: a method without streams is one whose streams have one message each.
        let response = client.streaming(request, method::path(method), BytesCodec).await?;
        if args.show_metadata {
            show_metadata("header", response.metadata(), out);
        }
        let mut answers = response.into_inner();
        let (types, mut count, mut shown) = (Types::new(method.parent_pool()), 0, Shown::All);
        let mut unknown = None;
        while let Some(answer) = answers.message().await? {
            if !show_answer(&answer, method, &types, args.emit_defaults, out) {
                shown = Shown::Some;
            }
            // Once for all answers that are alike.
            let read = DynamicMessage::decode(method.output(), answer.clone()).ok();
            let found = read.as_ref().and_then(unknown_fields);
            if let Some(text) = found.as_ref().filter(|_| found != unknown) {
                out.note(dim(text));
            }
            unknown = found.or(unknown);
            count += 1;
            if out.is_lost() {
                return Ok(shown);
            }
            // Answers that come faster than they are printed would leave no turn to the deadline, nor to Ctrl-C.
            consume_budget().await;
        }
        if args.show_metadata
            && let Some(trailers) = answers.trailers().await?
        {
            show_metadata("trailer", &trailers, out);
        }
        match count {
            0 if !method.is_server_streaming() => {
                Err(Status::internal("the plugin ended the call without an answer"))
            }
            _ => Ok(shown),
        }
    };
    let mut answered = pin!(answered);
    tokio::select! {
        biased;
        Ok(error) = &mut failure => Err(error.into()),
        answered = &mut answered => match failure.try_recv() {
            // The request that was wrong ended the stream, and what the plugin says of that is of no interest.
            Ok(error) => Err(error.into()),
            Err(_) => Ok(answered),
        },
    }
}

/// A single answer is laid out for people; those of a stream, and all for programs, are lines. False for an answer that has no
/// JSON form; in place of its line there is one that says so.
fn show_answer(
    answer: &[u8],
    method: &MethodDescriptor,
    types: &Types,
    defaults: bool,
    out: &mut Out,
) -> bool {
    let lines = method.is_server_streaming() || out.is_json();
    let fault = match protojson::write(answer, &method.output(), types, Style { pretty: !lines, defaults }) {
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
    let (field, bytes) = (fault.path(), STANDARD.encode(answer));
    let error = WithoutJson { message: method.output().full_name().to_owned(), fault };
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
    for (name, value) in headers::readable(metadata) {
        out.note(dim(format_args!("{kind} {name}: {}", on_one_line(&value))));
    }
}

/// How a call failed, in the shape of every error.
fn call_error_as_json(status: &Status, details: &[Value]) -> Value {
    let source = std::error::Error::source(status);
    let mut error = match source.and_then(|source| source.downcast_ref::<PluginExited>()) {
        Some(ended) => error_as_json(ended),
        None => json!({
            "code": null,
            "message": status.message(),
            "causes": causes(status),
            "help": null,
            "evidence": [],
        }),
    };
    error["kind"] = json!("call");
    error["grpc"] = json!({ "code": status::name(status.code()), "number": status.code() as i32 });
    error["details"] = json!(details);
    error
}

/// Prints how a call failed: for people on stderr, for programs on stdout.
fn tell(status: &Status, schema: &Schema, out: &mut Out) {
    let details = status::details(status, &schema.pool);
    if out.is_json() {
        out.json(&json!({ "error": call_error_as_json(status, &details) }));
        return;
    }
    let number = status.code() as i32;
    let code = bad(format_args!("{} ({number})", status::name(status.code())));
    // What is below belongs to it.
    out.note(format_args!("{code}: {}", status.message().trim_end().replace('\n', "\n    ")));
    let source = std::error::Error::source(status);
    if source.is_some_and(|source| source.is::<PluginExited>()) {
        // The details are this library's own, and say the same.
        return;
    }
    for detail in details {
        match serde_json::to_string_pretty(&detail) {
            Ok(text) => out.note(format_args!("{} {text}", dim("detail"))),
            Err(error) => out.note(error),
        }
    }
}
