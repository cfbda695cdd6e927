//! Removes tonic's limit on received messages from generated code.

/// The generated code is not that of the known version of the generator.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, miette::Diagnostic)]
#[error("the code generator wrote `{text}` {found} times instead of {expected}")]
#[diagnostic(
    code(rpcplugin::base::build_generator_changed),
    help("use the version of tonic-prost-build that this version of rpcplugin-build depends on")
)]
#[non_exhaustive]
pub struct PatchFailed {
    /// The text to replace in each client or server.
    pub text: &'static str,
    /// The number of clients and servers with this text.
    pub expected: usize,
    /// The number of times that the text was found.
    pub found: usize,
}

/// Makes the clients and servers in generated code accept messages of any size. Their method `max_decoding_message_size`
/// still sets a limit.
///
/// # Errors
/// [`PatchFailed`] if the code does not have exactly these numbers of clients and servers.
pub(crate) fn patch(code: &str, clients: usize, servers: usize) -> Result<String, PatchFailed> {
    let mut code = code.to_owned();
    for edit in EDITS {
        let expected = match edit.of {
            Of::Client => clients,
            Of::Server => servers,
            Of::Both => clients + servers,
        };
        let found = code.matches(edit.from).count();
        if found != expected {
            return Err(PatchFailed { text: edit.from, expected, found });
        }
        code = code.replace(edit.from, edit.to);
    }
    Ok(code)
}

/// A text in generated code, and its replacement.
struct Edit {
    of: Of,
    from: &'static str,
    to: &'static str,
}

/// Where the text occurs, once in each.
enum Of {
    Client,
    Server,
    Both,
}

/// The edits for received messages. Sent messages have no limit.
const EDITS: [Edit; 4] = [
    Edit {
        of: Of::Client,
        from: "tonic::client::Grpc::new(inner);",
        to: "tonic::client::Grpc::new(inner).max_decoding_message_size(usize::MAX);",
    },
    Edit {
        of: Of::Client,
        from: "tonic::client::Grpc::with_origin(inner, origin);",
        to: "tonic::client::Grpc::with_origin(inner, origin).max_decoding_message_size(usize::MAX);",
    },
    Edit {
        of: Of::Server,
        from: "max_decoding_message_size: None,",
        to: "max_decoding_message_size: Some(usize::MAX),",
    },
    Edit { of: Of::Both, from: "/// Default: `4MB`", to: "/// Default: no limit" },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_of_another_generator_is_refused() {
        let error = patch("pub mod kv_client {}", 1, 0).expect_err("no client");
        assert_eq!((error.expected, error.found), (1, 0));
        assert_eq!(patch("nothing", 0, 0).as_deref(), Ok("nothing"));
        assert!(patch("max_decoding_message_size: None,", 0, 0).is_err(), "one server too many");
    }
}
