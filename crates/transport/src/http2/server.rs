//! The server side: connections, and the calls on them.

mod batch;
mod beginning;
mod connection;
mod lane;
mod lane_call;
mod linger;
mod request;
mod response;
mod serve;
mod serving;

pub use serve::serve;
pub use serving::Serving;
