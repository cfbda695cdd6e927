//! Takes tonic's limit on received messages out of generated code.

/// The text of the code generator is not the one that this crate knows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, miette::Diagnostic)]
#[error("the code generator wrote {found} of {expected} times what was expected: `{text}`")]
#[diagnostic(
    code(rpcplugin::base::build_generator_changed),
    help("use the version of tonic-prost-build that this version of rpcplugin-build was made for")
)]
pub struct NotUnlimited {
    /// What stands there for each client or server.
    pub text: &'static str,
    /// How often it should stand there.
    pub expected: usize,
    /// How often it does.
    pub found: usize,
}

/// Makes the clients and servers in `code`, which tonic's generator wrote, take messages of any size, unless they are
/// told otherwise by their `max_decoding_message_size`.
///
/// # Errors
/// [`NotUnlimited`] when there are not just as many clients and servers as said.
pub fn unlimited(code: &str, clients: usize, servers: usize) -> Result<String, NotUnlimited> {
    let mut code = code.to_owned();
    for edit in EDITS {
        let expected = match edit.of {
            Of::Client => clients,
            Of::Server => servers,
            Of::Both => clients + servers,
        };
        let found = code.matches(edit.from).count();
        if found != expected {
            return Err(NotUnlimited { text: edit.from, expected, found });
        }
        code = code.replace(edit.from, edit.to);
    }
    Ok(code)
}

/// A piece of generated code, and what replaces it.
struct Edit {
    of: Of,
    from: &'static str,
    to: &'static str,
}

/// Where a piece stands once.
enum Of {
    Client,
    Server,
    Both,
}

/// Sending has no limit as it is.
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
    fn a_generator_that_writes_something_else_is_noticed() {
        let error = unlimited("pub mod kv_client {}", 1, 0).expect_err("no client");
        assert_eq!((error.expected, error.found), (1, 0));
        assert_eq!(unlimited("nothing", 0, 0).as_deref(), Ok("nothing"));
        assert!(unlimited("max_decoding_message_size: None,", 0, 0).is_err(), "a server that nobody counted");
    }
}
