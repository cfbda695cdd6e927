//! The server side: connections, and the calls on them.

mod beginning;
mod calls;
mod lane;
mod lane_call;
mod linger;
mod serve;
mod serving;

pub use serve::serve;
pub use serving::Serving;
