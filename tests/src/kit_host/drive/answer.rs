//! The answer to a request: its fields, or the reason of a failure.

use std::{error::Error, fmt::Display};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use miette::Diagnostic;
use prost::Message as _;
use rpcplugin::{
    LaunchError,
    broker::{AcceptError, DialError},
    handshake::ReattachError,
    host::{AttachError, ChecksumError, PingError, SuperviseError},
};
use serde_json::{Map, Value, json};
use tonic::{Code, Status};

use crate::kit_host::status::details;

/// The fields of an answer, an object.
pub(crate) type Answer = Value;

/// The reason of a failure: the value of `error`.
#[derive(Debug)]
pub(crate) struct Failure(Value);

impl Failure {
    /// The request is wrong.
    pub(crate) fn request(message: impl Display) -> Self {
        Self::of_the_kit("kit::request", message, "correct the request")
    }

    /// The operation does not fit the state of the plugin.
    pub(crate) fn state(message: impl Display) -> Self {
        Self::of_the_kit("kit::state", message, "launch the plugin first, or choose another handle")
    }

    /// The timeout has passed.
    pub(crate) fn late(message: impl Display) -> Self {
        Self::of_the_kit("kit::late", message, "allow it more time")
    }

    /// The plugin still runs after its shutdown.
    pub(crate) fn still_running(message: impl Display) -> Self {
        Self::of_the_kit("kit::still_running", message, "kill the process")
    }

    /// The library does not have this feature.
    pub(crate) fn unsupported(what: &str) -> Self {
        let message = format!("{what} is not supported");
        Self::of_the_kit("rpcplugin::config::unsupported", message, "do without it")
    }

    fn of_the_kit(code: &str, message: impl Display, help: &str) -> Self {
        Self(json!({ "code": code, "message": message.to_string(), "help": help, "causes": [] }))
    }

    /// An error of the library.
    fn of_the_library<E: Diagnostic + Error>(error: &E) -> Self {
        let text =
            |part: Option<Box<dyn Display + '_>>| part.map(|text| text.to_string()).unwrap_or_default();
        Self(json!({
            "code": text(error.code()),
            "message": error.to_string(),
            "help": text(error.help()),
            "causes": causes(error),
        }))
    }
}

/// A failed call.
impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        let details: Vec<_> =
            details(&status).iter().map(|detail| BASE64_STANDARD.encode(detail.encode_to_vec())).collect();
        Self(json!({
            "code": format!("grpc::{}", name(status.code())),
            "message": status.message(),
            "help": status.code().description(),
            "causes": causes(&status),
            "grpc_code": i32::from(status.code()),
            "details": details,
        }))
    }
}

impl From<LaunchError> for Failure {
    fn from(error: LaunchError) -> Self {
        Self::of_the_library(&error)
    }
}

impl From<AttachError> for Failure {
    fn from(error: AttachError) -> Self {
        Self::of_the_library(&error)
    }
}

impl From<ReattachError> for Failure {
    fn from(error: ReattachError) -> Self {
        Self::of_the_library(&error)
    }
}

impl From<ChecksumError> for Failure {
    fn from(error: ChecksumError) -> Self {
        Self::of_the_library(&error)
    }
}

impl From<SuperviseError> for Failure {
    fn from(error: SuperviseError) -> Self {
        Self::of_the_library(&error)
    }
}

impl From<PingError> for Failure {
    fn from(error: PingError) -> Self {
        Self::of_the_library(&error)
    }
}

impl From<DialError> for Failure {
    fn from(error: DialError) -> Self {
        Self::of_the_library(&error)
    }
}

impl From<AcceptError> for Failure {
    fn from(error: AcceptError) -> Self {
        Self::of_the_library(&error)
    }
}

/// The line that answers a request.
pub(crate) fn to_json(answer: Result<Answer, Failure>) -> Value {
    let mut object = Map::new();
    object.insert("ok".to_owned(), answer.is_ok().into());
    match answer {
        Ok(Value::Object(fields)) => object.extend(fields),
        Ok(_) => {}
        Err(Failure(error)) => {
            object.insert("error".to_owned(), error);
        }
    }
    Value::Object(object)
}

/// Bytes as base64.
pub(crate) fn base64(bytes: impl AsRef<[u8]>) -> String {
    BASE64_STANDARD.encode(bytes)
}

fn causes(error: &dyn Error) -> Vec<String> {
    let mut causes = Vec::new();
    let mut source = error.source();
    while let Some(cause) = source {
        causes.push(cause.to_string());
        source = cause.source();
    }
    causes
}

/// `NOT_FOUND` as `not_found`.
fn name(code: Code) -> String {
    let mut name = String::new();
    for c in format!("{code:?}").chars() {
        if c.is_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(c.to_ascii_lowercase());
    }
    name
}
