//! The faults of frames.

/// Bytes are not what the lane allows there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Malformed {
    #[error("a frame of an unknown kind")]
    Kind,
    #[error("a frame with unknown flags")]
    Flags,
    #[error("a frame that is longer than announced limits allow")]
    TooLong,
    #[error("a frame whose length does not fit its kind")]
    Length,
    #[error("a frame with the number of a call where none belongs, or without a number")]
    Call,
    #[error("a path that is not valid")]
    Path,
    #[error("a status that is not valid")]
    Status,
    #[error("headers that are not valid")]
    Headers,
}
