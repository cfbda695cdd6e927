//! The key/value service of the examples: its generated code, and a store in memory that implements it.
//!
//! In your own project, `build.rs` generates the code: see `rpcplugin-build`.
#![allow(clippy::allow_attributes, dead_code, reason = "hosts have no store, and plugins no client")]

use std::{
    collections::BTreeMap,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures_util::{Stream, StreamExt as _, stream};
use tokio::sync::broadcast;
use tokio_stream::wrappers::BroadcastStream;
use tonic::{Request, Response, Status, Streaming};

#[rustfmt::skip]
#[allow(clippy::all, missing_docs, unreachable_pub, unused_qualifications, reason = "generated code")]
#[path = "generated/kv.rs"]
pub(crate) mod proto;

use proto::{kv_server::Kv, sync_request, watch_event, *};

/// The descriptors of the service, for reflection.
pub(crate) const DESCRIPTORS: &[u8] = include_bytes!("generated/kv_descriptor.bin");

/// A store in memory. Clones share the entries.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    entries: Arc<Mutex<BTreeMap<String, Vec<u8>>>>,
    changes: broadcast::Sender<WatchEvent>,
}

/// A stream of responses.
type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

impl Store {
    /// Makes an empty store.
    pub(crate) fn new() -> Self {
        Self { entries: Arc::default(), changes: broadcast::Sender::new(64) }
    }

    fn entries(&self) -> MutexGuard<'_, BTreeMap<String, Vec<u8>>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, entry: Entry) -> bool {
        let replaced = self.entries().insert(entry.key.clone(), entry.value.clone()).is_some();
        // Sending fails if there are no watchers.
        let _ = self.changes.send(WatchEvent { change: Some(watch_event::Change::Put(entry)) });
        replaced
    }

    fn delete(&self, key: String) -> bool {
        let removed = self.entries().remove(&key).is_some();
        if removed {
            let _ = self.changes.send(WatchEvent { change: Some(watch_event::Change::Deleted(key)) });
        }
        removed
    }
}

#[tonic::async_trait]
impl Kv for Store {
    async fn put(&self, request: Request<PutRequest>) -> Result<Response<PutResponse>, Status> {
        let entry =
            request.into_inner().entry.ok_or_else(|| Status::invalid_argument("an entry is needed"))?;
        tracing::info!(key = entry.key, bytes = entry.value.len(), "stored");
        Ok(Response::new(PutResponse { replaced: self.put(entry) }))
    }

    async fn get(&self, request: Request<GetRequest>) -> Result<Response<GetResponse>, Status> {
        let key = request.into_inner().key;
        let value = self.entries().get(&key).cloned();
        let value = value.ok_or_else(|| Status::not_found(format!("no such key: {key}")))?;
        Ok(Response::new(GetResponse { value }))
    }

    async fn delete(&self, request: Request<DeleteRequest>) -> Result<Response<DeleteResponse>, Status> {
        Ok(Response::new(DeleteResponse { removed: self.delete(request.into_inner().key) }))
    }

    type ListStream = Answers<Entry>;

    async fn list(&self, request: Request<ListRequest>) -> Result<Response<Self::ListStream>, Status> {
        let prefix = request.into_inner().prefix;
        let entries = self.entries();
        let listed: Vec<_> = entries
            .iter()
            .filter(|(key, _)| key.starts_with(&prefix))
            .map(|(key, value)| Ok(Entry { key: key.clone(), value: value.clone() }))
            .collect();
        Ok(Response::new(Box::pin(stream::iter(listed))))
    }

    type WatchStream = Answers<WatchEvent>;

    async fn watch(&self, request: Request<WatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let prefix = request.into_inner().prefix;
        let changes = BroadcastStream::new(self.changes.subscribe()).filter_map(move |event| {
            let event = event.map_err(|lag| Status::data_loss(lag.to_string()));
            let key = match event.as_ref().map(|event| event.change.as_ref()) {
                Ok(Some(watch_event::Change::Put(entry))) => entry.key.as_str(),
                Ok(Some(watch_event::Change::Deleted(key))) => key.as_str(),
                Ok(None) | Err(_) => "",
            };
            let wanted = event.is_err() || key.starts_with(&prefix);
            async move { wanted.then_some(event) }
        });
        Ok(Response::new(Box::pin(changes)))
    }

    type SyncStream = Answers<SyncResponse>;

    async fn sync(
        &self,
        request: Request<Streaming<SyncRequest>>,
    ) -> Result<Response<Self::SyncStream>, Status> {
        let store = self.clone();
        let answers = request.into_inner().map(move |request| {
            let SyncRequest { sequence, change } = request?;
            match change.ok_or_else(|| Status::invalid_argument("a change is needed"))? {
                sync_request::Change::Put(entry) => store.put(entry),
                sync_request::Change::Delete(key) => store.delete(key),
            };
            Ok(SyncResponse { sequence, entries: store.entries().len() as u64 })
        });
        Ok(Response::new(Box::pin(answers)))
    }
}
