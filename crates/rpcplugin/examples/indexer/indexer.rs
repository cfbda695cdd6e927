//! The indexer of the examples `streams` and `long-work`: the code generated from `proto/indexer`.
//!
//! In your own project, `build.rs` generates the code: see `rpcplugin-build`.

#[rustfmt::skip]
#[allow(
    clippy::all,
    clippy::allow_attributes,
    dead_code,
    missing_docs,
    unreachable_pub,
    unused_qualifications,
    reason = "generated code"
)]
#[path = "generated/indexer.rs"]
mod proto;

pub(crate) use proto::{
    IndexRequest, Progress, SearchRequest, SearchResponse,
    indexer_client::IndexerClient,
    indexer_server::{Indexer, IndexerServer},
};
