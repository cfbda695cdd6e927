//! The server side: connections, and the calls on them.

mod batch;
mod connection;
mod linger;
mod request;
mod response;
mod serve;

pub use serve::{Serving, serve};
