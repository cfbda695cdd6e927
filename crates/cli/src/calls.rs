//! Calls without generated code: encoded messages, and metadata as text.

mod codec;
mod headers;

pub(crate) use self::{
    codec::BytesCodec,
    headers::{Header, add, parse, readable},
};
