//! The requests of a call, from JSON.

use std::{
    fs::File,
    io::{self, BufRead, Cursor, IsTerminal as _},
};

use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor, MethodDescriptor};
use tokio::sync::{mpsc, oneshot};

use super::json_values::{JsonText, JsonValues};
use crate::{
    error::UsageError,
    protojson::{self, Types},
};

/// A stream of encoded requests.
#[derive(Debug)]
pub(super) struct Requests {
    pub(super) messages: mpsc::Receiver<Vec<u8>>,
    /// The error of an invalid request. Closed without a value if all requests are valid.
    pub(super) failure: oneshot::Receiver<UsageError>,
}

/// The source of the requests.
enum Source {
    /// The argument or a file. It is read to its end.
    Whole(Box<dyn BufRead + Send>),
    /// Stdin. It is read only as far as necessary.
    Stdin,
    /// A message without fields.
    Empty,
}

impl Requests {
    /// Starts to read `data` or stdin.
    pub(super) fn open(data: Option<&str>, method: &MethodDescriptor) -> Result<Self, UsageError> {
        Ok(Self::start(source(data, method)?, (1, 1), method))
    }

    /// Starts to read a text that begins at this line and column.
    pub(super) fn of_text(text: String, begin: (usize, usize), method: &MethodDescriptor) -> Self {
        Self::start(Source::Whole(Box::new(Cursor::new(text))), begin, method)
    }

    fn start(source: Source, begin: (usize, usize), method: &MethodDescriptor) -> Self {
        let (sender, messages) = mpsc::channel(16);
        let (failed, failure) = oneshot::channel();
        let (input, many) = (method.input(), method.is_client_streaming());
        // A thread, because reading from a terminal or a pipe may block indefinitely.
        std::thread::spawn(move || {
            // Sent before the stream of requests ends, so that the call does not mistake the error for the end.
            if let Err(error) = read(source, begin, &input, many, &sender) {
                let _ = failed.send(error);
            }
        });
        Self { messages, failure }
    }
}

/// Reads all of `data` or of stdin.
///
/// # Errors
/// Text that cannot be read.
pub(super) async fn whole(data: Option<&str>, method: &MethodDescriptor) -> Result<String, UsageError> {
    let source = source(data, method)?;
    // Reading from a terminal or a pipe may block indefinitely.
    let read = tokio::task::spawn_blocking(move || match source {
        Source::Whole(reader) => io::read_to_string(reader),
        Source::Stdin => io::read_to_string(io::stdin()),
        Source::Empty => Ok(String::new()),
    });
    let read = read.await.unwrap_or_else(|error| Err(io::Error::other(error)));
    read.map_err(|error| {
        let help = "check that the file or stdin is readable";
        UsageError::new(format!("the request cannot be read: {error}"), help)
    })
}

fn source(data: Option<&str>, method: &MethodDescriptor) -> Result<Source, UsageError> {
    match data {
        Some("@-") => Ok(Source::Stdin),
        Some(text) => match text.strip_prefix('@') {
            None => Ok(Source::Whole(Box::new(Cursor::new(text.to_owned())))),
            Some(path) => match File::open(path) {
                Ok(file) => Ok(Source::Whole(Box::new(io::BufReader::new(file)))),
                Err(error) => Err(UsageError::new(
                    format!("{path} cannot be read: {error}"),
                    "name a file with JSON after the @",
                )),
            },
        },
        // The only possible message is the empty one.
        None if method.input().fields().len() == 0 && !method.is_client_streaming() => Ok(Source::Empty),
        None if io::stdin().is_terminal() && !method.is_client_streaming() => Ok(Source::Empty),
        None => Ok(Source::Stdin),
    }
}

/// Reads and sends messages. A method without a request stream gets an empty message if there is no input.
fn read(
    source: Source,
    begin: (usize, usize),
    input: &MessageDescriptor,
    many: bool,
    sender: &mpsc::Sender<Vec<u8>>,
) -> Result<(), UsageError> {
    let (reader, whole): (Box<dyn BufRead>, bool) = match source {
        Source::Whole(reader) => (reader, true),
        Source::Stdin => (Box::new(io::stdin().lock()), false),
        Source::Empty => (Box::new(io::empty()), true),
    };
    let types = Types::new(input.parent_pool());
    let mut texts = JsonValues::new(reader, begin);
    let mut next = || {
        let text = texts.next().map_err(|error| {
            UsageError::new(
                format!("the request cannot be read: {error}"),
                "check that the file or stdin is readable",
            )
        });
        text.transpose()
    };
    if many {
        while let Some(text) = next() {
            let message = message(&text?, input, &types)?;
            if sender.blocking_send(message).is_err() {
                break;
            }
        }
        return Ok(());
    }
    let first = match next() {
        Some(text) => message(&text?, input, &types)?,
        None => Vec::new(),
    };
    if whole && next().is_some() {
        let help = "give one JSON object; only methods with a request stream take several";
        return Err(UsageError::new("the method takes one message, and there are several", help));
    }
    let _ = sender.blocking_send(first);
    Ok(())
}

fn message(text: &JsonText, input: &MessageDescriptor, types: &Types) -> Result<Vec<u8>, UsageError> {
    protojson::read(&text.bytes, input, types).map_err(|fault| {
        let place = fault.offset().map(|offset| text.place(offset));
        let place =
            place.map_or_else(String::new, |(line, column)| format!(" (line {line}, column {column})"));
        if fault.is_syntax() {
            let help = r#"quote names and strings with ", as in {"name": "Ada", "age": 36}"#;
            return UsageError::new(format!("the request is not valid JSON: {fault}{place}"), help);
        }
        let concerned = fault.message().unwrap_or(input);
        UsageError::new(
            format!("the request is not a valid {}: {fault}{place}", input.full_name()),
            fields(concerned),
        )
    })
}

/// Lists the fields of a message, for a help text.
fn fields(message: &MessageDescriptor) -> String {
    let fields: Vec<String> = message.fields().map(|field| describe(&field)).collect();
    match fields.as_slice() {
        [] => "use {}: the message has no fields".to_owned(),
        fields => format!("use the fields of the message: {}", fields.join(", ")),
    }
}

fn describe(field: &FieldDescriptor) -> String {
    let kind = match field.kind() {
        Kind::Message(message) => message.name().to_owned(),
        Kind::Enum(one) => {
            let values: Vec<String> = one.values().map(|value| value.name().to_owned()).collect();
            format!("one of {}", values.join(" "))
        }
        Kind::Bytes => "bytes in base64".to_owned(),
        other => format!("{other:?}").to_lowercase(),
    };
    let many = if field.is_map() {
        "map of "
    } else if field.is_list() {
        "list of "
    } else {
        ""
    };
    format!("{} ({many}{kind})", field.json_name())
}

#[cfg(test)]
mod tests {
    use prost_reflect::DescriptorPool;

    use super::*;

    fn read_all(text: &str, many: bool) -> Result<usize, UsageError> {
        let duration = DescriptorPool::global().get_message_by_name("google.protobuf.FieldMask").unwrap();
        // A message of a plain kind: well-known types have JSON forms of their own.
        let plain = DescriptorPool::global().get_message_by_name("google.protobuf.EnumValue").unwrap();
        assert!(duration.fields().len() > 0);
        let (sender, mut receiver) = mpsc::channel(16);
        read(Source::Whole(Box::new(Cursor::new(text.to_owned()))), (1, 1), &plain, many, &sender)?;
        drop(sender);
        Ok(std::iter::from_fn(|| receiver.blocking_recv()).count())
    }

    #[test]
    fn reads_as_many_messages_as_the_method_takes() {
        assert_eq!(read_all(r#"{"name":"x"}"#, false).unwrap(), 1);
        assert_eq!(read_all("", false).unwrap(), 1);
        assert_eq!(read_all("", true).unwrap(), 0);
        assert_eq!(read_all("{}\n{\"number\":3}{}", true).unwrap(), 3);
        assert!(read_all("{} {}", false).is_err());
    }

    #[test]
    fn the_help_lists_the_fields_of_the_message() {
        for wrong in [r#"{"nme":"x"}"#, r#"{"name":7}"#, "[]", "{"] {
            let error = read_all(wrong, true).unwrap_err();
            let help = miette::Diagnostic::help(&error).unwrap().to_string();
            assert!(wrong == "{" || help.contains("name (string), number (int32)"), "{error}: {help}");
        }
    }
}
