//! Reads the calls on an HTTP/2 connection while its bytes pass. Nothing is changed here.

mod calls;
mod frames;
mod headers;
mod hpack;
mod messages;
mod tables;

pub(in crate::commands) use self::{
    calls::{BROKER, Calls, Found, Scanned, Sender, What},
    headers::{Header, value},
    messages::Message,
};
