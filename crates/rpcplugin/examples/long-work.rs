//! Work that blocks or computes: on threads of its own, with progress, and with an end when it is not needed any more.
//!
//! ```text
//! cargo run --example long-work
//! ```
//!
//! A plugin serves with one thread. A handler that blocks this thread delays all other calls, so that long work runs on threads
//! for it. The host searches while documents are indexed, and is answered at once.
#![expect(clippy::disallowed_methods, clippy::print_stdout, reason = "the program prints for people")]

use std::{
    env,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use miette::{IntoDiagnostic as _, Result};
use rpcplugin::{Command, Host, MagicCookie, Serve, Services, plugin::Shutdown};
use tokio::sync::{Semaphore, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

#[path = "indexer/indexer.rs"]
mod indexer;

use indexer::{IndexRequest, Indexer, IndexerClient, IndexerServer, Progress, SearchRequest, SearchResponse};

const COOKIE: (&str, &str) = ("LONG_WORK_PLUGIN", "c417-long-work");

fn main() -> Result<ExitCode> {
    if env::var_os(COOKIE.0).is_some() { Ok(plugin()) } else { host() }
}

fn plugin() -> ExitCode {
    Serve::new(MagicCookie::new(COOKIE.0, COOKIE.1).expect("a key and a value"))
        .configure(|config| config.workers = 2)
        .version_with(1, |context| {
            Services::new().add(IndexerServer::new(OnThreads::new(context.shutdown.clone())))
        })
        .main()
}

/// Indexes on threads for work that blocks.
struct OnThreads {
    shutdown: Shutdown,
    /// One for each thread that may work.
    turns: Arc<Semaphore>,
}

impl OnThreads {
    fn new(shutdown: Shutdown) -> Self {
        let threads = thread::available_parallelism().map_or(1, usize::from);
        Self { shutdown, turns: Arc::new(Semaphore::new(threads)) }
    }
}

#[tonic::async_trait]
impl Indexer for OnThreads {
    type IndexStream = ReceiverStream<Result<Progress, Status>>;

    async fn index(&self, request: Request<IndexRequest>) -> Result<Response<Self::IndexStream>, Status> {
        let documents = request.into_inner().documents;
        let (progress, stream) = mpsc::channel(4);
        let shutdown = self.shutdown.token();
        // Work beyond the number of processors waits here, and costs no thread.
        let turn =
            Arc::clone(&self.turns).acquire_owned().await.map_err(|_| Status::cancelled("shutdown"))?;
        tokio::task::spawn_blocking(move || {
            let _turn = turn;
            let total = u32::try_from(documents.len()).unwrap_or(u32::MAX);
            for (done, document) in (1..).zip(documents) {
                if shutdown.is_cancelled() {
                    let _ = progress.blocking_send(Err(Status::unavailable("the plugin shuts down")));
                    return;
                }
                index_one(&document);
                // An error: the host has dropped the stream, or the deadline of the call has passed.
                if progress.blocking_send(Ok(Progress { done, total, document })).is_err() {
                    tracing::warn!("the call is cancelled");
                    return;
                }
            }
        });
        Ok(Response::new(ReceiverStream::new(stream)))
    }

    async fn search(&self, request: Request<SearchRequest>) -> Result<Response<SearchResponse>, Status> {
        let text = request.into_inner().text;
        // The guard stops the work if this handler is dropped, by a deadline or by the host.
        let stop = Stop::default();
        let stopped = Arc::clone(&stop.0);
        let found = tokio::task::spawn_blocking(move || scan(&text, &stopped)).await;
        let documents = found.map_err(|error| Status::internal(error.to_string()))?;
        Ok(Response::new(SearchResponse { documents }))
    }
}

/// Stands for work that blocks a thread.
fn index_one(_document: &str) {
    thread::sleep(Duration::from_millis(20));
}

/// Looks at one document after the other, and looks up whether the result is still needed.
fn scan(text: &str, stopped: &AtomicBool) -> Vec<String> {
    let documents = ["needles.txt", "pins.txt"].into_iter().take_while(|_| !stopped.load(Ordering::Relaxed));
    documents.filter(|document| document.contains(text)).map(str::to_owned).collect()
}

/// Sets its flag when it is dropped.
#[derive(Default)]
struct Stop(Arc<AtomicBool>);

impl Drop for Stop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[tokio::main]
async fn host() -> Result<ExitCode> {
    let host = Host::new(MagicCookie::new(COOKIE.0, COOKIE.1)?, 1);
    let plugin = host.launch(Command::new(env::current_exe().into_diagnostic()?)).await?;
    let mut indexer = IndexerClient::new(plugin.channel());

    let documents = (1..=5000).map(|number| format!("document {number}")).collect();
    let mut stream = indexer.index(IndexRequest { documents }).await.into_diagnostic()?.into_inner();
    if let Some(Progress { done, total, .. }) = stream.message().await.into_diagnostic()? {
        println!("{done} of {total} documents are indexed");
    }
    let mut request = Request::new(SearchRequest { text: "needle".to_owned() });
    request.set_timeout(Duration::from_secs(10));
    let found = indexer.search(request).await.into_diagnostic()?.into_inner().documents;
    println!("found meanwhile: {}", found.join(", "));
    println!("health meanwhile: {}", plugin.ping().await?);

    // The stream is still open: the plugin ends it, because it watches its shutdown.
    let exit = tokio::spawn(plugin.shut_down());
    let status = loop {
        match stream.message().await {
            Ok(Some(_)) => {}
            Ok(None) => break None,
            Err(status) => break Some(status),
        }
    };
    println!("the stream ended: {}", status.as_ref().map_or("complete", Status::message));
    println!("the plugin {}", exit.await.into_diagnostic()?);
    Ok(ExitCode::SUCCESS)
}
