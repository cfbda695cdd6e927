//! The limit on the headers of a call.

use http::{HeaderMap, Uri};
use tonic::Status;

/// The largest length of the headers of a call.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HeaderLimit(u32);

impl HeaderLimit {
    /// Allows at most so many bytes, as HTTP/2 counts them.
    pub(crate) fn new(bytes: u32) -> Self {
        Self(bytes)
    }

    pub(super) fn bytes(self) -> u32 {
        self.0
    }

    /// The limit for the HTTP/2 stack. It is larger, so that headers that are too long still arrive and fail only their
    /// call.
    pub(crate) fn for_stack(self) -> u32 {
        self.0.saturating_mul(SLACK)
    }

    /// Returns the status for a request whose headers are too long.
    pub(crate) fn refuse_request(self, uri: &Uri, headers: &HeaderMap) -> Option<Status> {
        let path = uri.path_and_query().map_or(0, |path| path.as_str().len());
        self.refuse(path + uri.authority().map_or(0, |authority| authority.as_str().len()), headers)
    }

    /// Returns the status for a response whose headers or trailers are too long.
    pub(crate) fn refuse_response(self, headers: &HeaderMap) -> Option<Status> {
        self.refuse(0, headers)
    }

    fn refuse(self, more: usize, headers: &HeaderMap) -> Option<Status> {
        // The length of a field, as RFC 9113 (6.5.2) has it.
        let fields = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 32);
        let length = fields.sum::<usize>() + more;
        let limit = self.0 as usize;
        (length > limit).then(|| {
            Status::resource_exhausted(format!(
                "the headers of the call have {length} bytes; http2.max_headers allows {limit}"
            ))
        })
    }
}

/// How many times as long as allowed headers may be before they end the connection.
const SLACK: u32 = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_those_of_http2() {
        let mut headers = HeaderMap::new();
        headers.insert("name", "value".parse().expect("a value"));
        assert!(HeaderLimit::new(41).refuse_response(&headers).is_none());
        let refused = HeaderLimit::new(40).refuse_response(&headers).expect("too long");
        assert_eq!(refused.message(), "the headers of the call have 41 bytes; http2.max_headers allows 40");
    }
}
