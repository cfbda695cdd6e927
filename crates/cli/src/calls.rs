//! Calls without generated code: encoded messages, metadata as text, and codes by name.

mod code;
mod codec;
mod headers;

pub(crate) use self::{
    code::code_name,
    codec::BytesCodec,
    headers::{Header, add, parse, readable},
};
