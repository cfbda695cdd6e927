//! What the fuzz targets need. It is not compiled otherwise.

pub use crate::{
    call::fuzzing::{follow_messages, timeouts},
    frames::fuzzing::{count_messages, merged},
    http2::fuzzing::mended,
    lane::fuzzing::{read_frames, receive},
};
