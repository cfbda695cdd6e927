//! Headers in the frames of the lane.
//!
//! Each field has a name and a value. The name is its length in two bytes and its bytes, or the number of a frequent name in the
//! same two bytes. The value is its length in four bytes and its bytes. Fields follow each other until the frame ends.

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, header};

use super::malformed::Malformed;

/// Frequent names, by their numbers. A new name goes to the end, and needs a new version of the lane.
static NAMES: [HeaderName; 11] = [
    header::CONTENT_TYPE,
    header::TE,
    header::USER_AGENT,
    HeaderName::from_static("grpc-status"),
    HeaderName::from_static("grpc-message"),
    HeaderName::from_static("grpc-timeout"),
    HeaderName::from_static("grpc-encoding"),
    HeaderName::from_static("grpc-accept-encoding"),
    HeaderName::from_static("grpc-status-details-bin"),
    HeaderName::from_static("traceparent"),
    HeaderName::from_static("tracestate"),
];

/// Lengths of names are smaller than this. Larger numbers stand for frequent names.
const NUMBERED: u16 = 0xff00;

/// Writes headers.
pub(super) fn encode(out: &mut BytesMut, headers: &HeaderMap) {
    for (name, value) in headers {
        let number = (0_u16..).zip(&NAMES).find(|(_, known)| *known == name);
        match (number, u16::try_from(name.as_str().len())) {
            (Some((number, _)), _) => out.put_u16(NUMBERED + number),
            (None, Ok(length)) if length < NUMBERED => {
                out.put_u16(length);
                out.put_slice(name.as_str().as_bytes());
            }
            // No header has a name that is so long: the `http` crate allows 32 KiB.
            (None, _) => continue,
        }
        put_text(out, value.as_bytes());
    }
}

/// Reads headers up to the end of the payload.
pub(super) fn decode(mut payload: Bytes) -> Result<HeaderMap, Malformed> {
    let mut headers = HeaderMap::new();
    while !payload.is_empty() {
        if payload.len() < 2 {
            return Err(Malformed::Headers);
        }
        let length = payload.get_u16();
        let name = match length.checked_sub(NUMBERED) {
            Some(number) => NAMES.get(usize::from(number)).cloned().ok_or(Malformed::Headers)?,
            None if payload.len() < usize::from(length) => return Err(Malformed::Headers),
            None => HeaderName::from_bytes(&payload.split_to(usize::from(length)))
                .map_err(|_| Malformed::Headers)?,
        };
        let length = take_length(&mut payload)?;
        let value =
            HeaderValue::from_maybe_shared(payload.split_to(length)).map_err(|_| Malformed::Headers)?;
        headers.try_append(name, value).map_err(|_| Malformed::Headers)?;
    }
    Ok(headers)
}

/// Writes a text and before it its length.
pub(super) fn put_text(out: &mut BytesMut, text: &[u8]) {
    out.put_u32(u32::try_from(text.len()).unwrap_or(u32::MAX));
    out.put_slice(text);
}

/// Reads the length of a text that follows in the payload.
pub(super) fn take_length(payload: &mut Bytes) -> Result<usize, Malformed> {
    if payload.len() < 4 {
        return Err(Malformed::Headers);
    }
    let length = payload.get_u32() as usize;
    if payload.len() < length { Err(Malformed::Headers) } else { Ok(length) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frequent_names_take_two_bytes() {
        let mut headers = HeaderMap::new();
        headers.insert("grpc-status", HeaderValue::from_static("0"));
        let mut bytes = BytesMut::new();
        encode(&mut bytes, &headers);
        assert_eq!(&bytes[..], b"\xff\x03\0\0\0\x010");
        assert_eq!(decode(bytes.freeze()), Ok(headers));
    }

    #[test]
    fn malformed_headers_are_refused() {
        for bytes in [
            &b"\0"[..],
            b"\0\x05abc",
            b"\0\x03abc",
            b"\0\x03abc\0\0\0\x02x",
            b"\0\x03a c\0\0\0\0",
            b"\xff\xff\0\0\0\0",
            b"\xff\x03\0\0\0\x01\n",
        ] {
            assert_eq!(decode(Bytes::copy_from_slice(bytes)), Err(Malformed::Headers), "{bytes:?}");
        }
    }

    #[test]
    fn too_many_fields_are_refused() {
        let mut bytes = BytesMut::new();
        for number in 0..40_000 {
            let name = format!("x-{number}");
            bytes.put_u16(u16::try_from(name.len()).expect("short"));
            bytes.put_slice(name.as_bytes());
            put_text(&mut bytes, b"");
        }
        assert_eq!(decode(bytes.freeze()), Err(Malformed::Headers));
    }
}
