//! What the library reads of one call. How its bytes are divided makes no difference, and a value that is written is read again.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use rpcplugin_core::TraceContext;
use rpcplugin_transport::fuzzing::{count_messages, follow_messages, mended, merged, timeouts};
use tonic::{Code, Status};

use crate::input::Input;

/// The headers of a call, one on each line: timeout, trace context, its state, message and details of a status.
pub(crate) fn call_headers(bytes: &[u8]) {
    let mut lines = bytes.splitn(5, |byte| *byte == b'\n').map(HeaderValue::from_bytes);
    let mut next = || lines.next().and_then(Result::ok);
    if let Some((read, again)) = next().and_then(timeouts) {
        let again = again.expect("a timeout that is written can be read");
        assert!(again <= read, "{again:?} is longer than {read:?}");
        let lost = read - again;
        assert!(lost < Duration::from_secs(1) || again.as_secs() == 99_999_999, "{read:?} became {again:?}");
    }

    let (parent, state) = (next(), next());
    let text = |value: &HeaderValue| value.to_str().ok().map(str::to_owned);
    if let Some(parent) = parent.as_ref().and_then(text) {
        let state = state.as_ref().and_then(text);
        if let Some(context) = TraceContext::parse(&parent, state.as_deref()) {
            assert!(context.trace_id() != 0 && context.span_id() != 0);
            let again = TraceContext::parse(&context.traceparent(), Some(context.tracestate()));
            assert_eq!(again.as_ref(), Some(&context));
        }
    }

    let (message, details) = (next(), next());
    let mut headers = HeaderMap::new();
    headers.insert("grpc-status", HeaderValue::from_static("9"));
    for (name, value) in [("grpc-message", message), ("grpc-status-details-bin", details)] {
        headers.extend(value.map(|value| (HeaderName::from_static(name), value)));
    }
    let status = Status::from_header_map(&mended(headers)).expect("a status");
    assert_eq!(status.code(), Code::FailedPrecondition, "the code of a status is kept: {status:?}");
}

/// The bytes of a body, and the frames of a connection.
pub(crate) fn call_messages(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let (step, room) = (usize::from(input.byte()).max(1), usize::from(input.byte()).max(1));
    let limit = u64::from(input.byte()) * 16;
    let bytes = input.rest();

    let whole = follow_messages(bytes, usize::MAX, limit);
    assert_eq!(follow_messages(bytes, step, limit), whole);
    assert_eq!(whole, messages(bytes, limit));

    assert_eq!(count_messages(bytes, step), count_messages(bytes, usize::MAX));

    let (cut, at_once) = (merged(bytes, step, room), merged(bytes, usize::MAX, 1 << 16));
    // The beginning of a frame header that never ends may be dropped with the connection.
    assert!(at_once.starts_with(&cut) || cut.starts_with(&at_once));
    assert!(at_once.len().abs_diff(cut.len()) < 9);
    assert!(at_once.len() <= bytes.len() + 9 * (1 + bytes.len() / 9), "merging makes no more bytes");
}

/// What [`follow_messages`] returns, read from the whole body.
fn messages(mut body: &[u8], limit: u64) -> Result<Option<(u32, u32)>, u32> {
    loop {
        let Some((prefix, rest)) = body.split_first_chunk::<5>() else { return Ok(None) };
        let [compressed, length @ ..] = *prefix;
        let length = u32::from_be_bytes(length);
        if compressed > 1 {
            return Ok(None);
        }
        if u64::from(length) > limit {
            return Err(length);
        }
        if rest.len() < length as usize {
            return Ok(Some((length, rest.len() as u32)));
        }
        body = &rest[length as usize..];
    }
}
