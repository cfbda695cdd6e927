//! The reader of HTTP/2 of `rpcplugin tap`. The modules are those of the program.

#[path = "../../../../../crates/cli/src/commands/tap/http2/calls.rs"]
mod calls;
#[path = "../../../../../crates/cli/src/commands/tap/http2/frames.rs"]
mod frames;
#[path = "../../../../../crates/cli/src/commands/tap/http2/headers.rs"]
mod headers;
#[path = "../../../../../crates/cli/src/commands/tap/http2/hpack.rs"]
mod hpack;
#[path = "../../../../../crates/cli/src/commands/tap/http2/messages.rs"]
mod messages;
#[path = "../../../../../crates/cli/src/commands/tap/http2/tables.rs"]
mod tables;

pub(super) use self::{
    calls::{Calls, Sender, What},
    headers::Header,
};
