//! The instance that a call names in its metadata.

use http::{HeaderMap, header::GetAll};
use rpcplugin_core::{InstanceId, Visible};
use tonic::Status;

/// Reads the id from the metadata of a call. The id is valid.
///
/// # Errors
/// INVALID_ARGUMENT, which names the key.
pub(super) fn read(headers: &HeaderMap) -> Result<&str, Status> {
    let key = InstanceId::METADATA_KEY;
    let mut values = GetAll::iter(&headers.get_all(key));
    let id = match (values.next(), values.next()) {
        (None, _) => {
            return Err(Status::invalid_argument(format!(
                "the call names no instance in the metadata `{key}`"
            )));
        }
        (Some(id), None) => id,
        (Some(_), Some(_)) => {
            return Err(Status::invalid_argument(format!(
                "the call has the metadata `{key}` more than once"
            )));
        }
    };
    let malformed = |shown: &str| {
        let shown = Visible(shown);
        Status::invalid_argument(format!("the metadata `{key}` has a malformed id: {shown}"))
    };
    let text = id.to_str().map_err(|_| malformed("it has characters outside of ASCII"))?;
    InstanceId::check(text).map_err(|error| malformed(&error.to_string()))?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use tonic::Code;

    use super::*;

    fn refused(ids: &[&[u8]]) -> String {
        let mut headers = HeaderMap::new();
        for id in ids {
            headers.append(InstanceId::METADATA_KEY, HeaderValue::from_bytes(id).expect("a header"));
        }
        let status = read(&headers).expect_err("refused");
        assert_eq!(status.code(), Code::InvalidArgument);
        assert!(status.message().contains("rpcplugin-instance"), "{status:?}");
        assert!(!status.message().chars().any(char::is_control), "{status:?}");
        status.message().to_owned()
    }

    #[test]
    fn a_call_names_one_instance() {
        let headers = HeaderMap::from_iter([(
            http::HeaderName::from_static(InstanceId::METADATA_KEY),
            HeaderValue::from_static("tenants/acme"),
        )]);
        assert_eq!(read(&headers).expect("an id"), "tenants/acme");
    }

    #[test]
    fn calls_without_one_well_formed_id_are_refused() {
        assert!(refused(&[]).contains("names no instance"));
        assert!(refused(&[b"a", b"a"]).contains("more than once"));
        assert!(refused(&[b""]).contains("malformed"));
        assert!(refused(&[b"a b"]).contains("\"a b\""));
        assert!(refused(&[b"tab\there"]).contains("malformed"));
        assert!(refused(&["\u{9b}31m".as_bytes()]).contains("outside of ASCII"));
        assert!(refused(&["x".repeat(100_000).as_bytes()]).len() < 200);
    }
}
