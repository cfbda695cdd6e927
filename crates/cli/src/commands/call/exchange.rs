//! One call of a running plugin: requests go out, and responses are printed as they arrive.

use std::pin::pin;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use prost_reflect::{DynamicMessage, MethodDescriptor};
use rpcplugin::{Plugin, host::PluginExited};
use serde_json::{Value, json};
use tokio::{task::coop::consume_budget, time::timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Request, Status, metadata::MetadataMap};

use super::{
    method, method_args::MethodArgs, place::Place, requests::Requests, serve::possible_id_field, status,
};
use crate::{
    calls::{self, BytesCodec, code_name},
    error::CommandError,
    exit::Exit,
    protojson::{self, Fault, Style, Types},
    schema::{Schema, unknown_fields},
    ui::{
        Out, cause_texts, duration, error_as_json,
        style::{bad, dim, on_one_line},
    },
};

/// A call of a running plugin.
#[derive(Clone, Copy)]
pub(super) struct Call<'a> {
    pub(super) plugin: &'a Plugin,
    pub(super) schema: &'a Schema,
    pub(super) method: &'a MethodDescriptor,
    pub(super) args: &'a MethodArgs,
    /// The line of the script that has the call.
    pub(super) place: Option<&'a Place>,
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

/// Which responses have been printed as JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shown {
    All,
    /// Some have no JSON form. An error was printed in their place.
    Some,
}

impl Call<'_> {
    /// Makes the call, and prints the responses. Each response is also added to `kept`, with its default values.
    pub(super) async fn make(
        &self,
        requests: Requests,
        kept: Option<&mut Vec<String>>,
        out: &mut Out,
    ) -> Result<Exit, CommandError> {
        let called = self.exchange(requests, kept, out);
        let ended = match self.args.deadline {
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
        self.report_status(&status, out);
        Ok(if self.plugin.ended().is_some() { Exit::PluginExited } else { Exit::Failed })
    }

    /// Sends all requests and prints all responses as they arrive. The inner error is the status of the call.
    async fn exchange(
        &self,
        requests: Requests,
        mut kept: Option<&mut Vec<String>>,
        out: &mut Out,
    ) -> Result<Result<Shown, Status>, CommandError> {
        let Self { plugin, method, args, .. } = *self;
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
                } else if let Some(kept) = &mut kept {
                    let style = Style { pretty: false, defaults: true };
                    let written = protojson::write(&message, &method.output(), &types, style);
                    // The same message has just been written.
                    kept.extend(written.map(|json| json.get().to_owned()));
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

    /// Prints the error of a call: on stdout with `--json`, and on stderr otherwise.
    fn report_status(&self, status: &Status, out: &mut Out) {
        let details = status::details(status, &self.schema.pool);
        if out.is_json() {
            let mut error = call_error_as_json(status, &details);
            if let Some(place) = self.place {
                error["line"] = place.line.into();
            }
            if let Some(help) = self.help(status).filter(|_| error["help"].is_null()) {
                error["help"] = help.into();
            }
            out.json(&json!({ "error": error }));
            return;
        }
        if let Some(place) = self.place {
            out.note(dim(format_args!("{place}: {}", method::name(self.method))));
        }
        let number = status.code() as i32;
        let code = bad(format_args!("{} ({number})", code_name(status.code())));
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
        if let Some(help) = self.help(status) {
            out.hint(&help);
        }
    }

    /// Returns what to do about a status that may be of a plugin which cannot call its host back.
    fn help(&self, status: &Status) -> Option<String> {
        let codes = [Code::Unknown, Code::Unavailable, Code::Internal, Code::DeadlineExceeded];
        let field = possible_id_field(&self.method.input())?;
        (codes.contains(&status.code()) && self.args.serve.is_empty()).then(|| {
            format!(
                "{} may be the id of a service that the plugin calls back: serve it with --serve SERVICE=FILE",
                field.name()
            )
        })
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
    error["grpc"] = json!({ "code": code_name(status.code()), "number": status.code() as i32 });
    error["details"] = json!(details);
    error
}
