//! The server side: connections, and the calls on them.

mod calls;
mod linger;
mod serve;

pub use serve::{Serving, serve};
