//! HTTP/2 frames, as they pass through a stream: counted, rewritten and merged.

mod announced_limit;
mod authority_rewrite;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod header_blocks;
mod header_limit;
mod layout;
mod message_counter;

pub(crate) use authority_rewrite::AuthorityRewrite;
pub(crate) use header_blocks::HeaderBlocks;
pub(crate) use header_limit::HeaderLimit;
pub(crate) use layout::PREFACE;
pub(crate) use message_counter::MessageCounter;
