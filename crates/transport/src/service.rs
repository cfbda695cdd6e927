//! Sets of gRPC services, and the layers around them.

mod layers;
mod panic;
mod routes;
mod trace;

pub use layers::{ServiceLayer, ServiceLayers};
pub(crate) use panic::panicked;
pub use routes::{MessageLimits, Route, Services};
pub use trace::{TraceCalls, TraceServices, TracedCalls, TracedService, current_trace, in_trace};
