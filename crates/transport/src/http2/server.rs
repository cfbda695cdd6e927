//! The server side: connections, and the calls on them.

mod calls;
mod linger;
mod response;
mod serve;

pub use serve::{Serving, serve};
