//! What the fuzz targets need. It is not compiled otherwise.

pub use crate::lane::fuzzing::receive;
