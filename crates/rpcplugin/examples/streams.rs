//! A stream of progress, and three ways to end it early.
//!
//! ```text
//! cargo run --example streams
//! ```
//!
//! The plugin indexes documents and reports each. The host reads the whole stream, drops one stream, gives one call a deadline,
//! and ends with Ctrl-C. Each time the plugin notices that its work is not needed any more.
#![expect(clippy::disallowed_methods, clippy::print_stdout, reason = "the program prints for people")]

use std::{env, io::stderr, process::ExitCode, time::Duration};

use miette::{IntoDiagnostic as _, Result};
use rpcplugin::{Command, Host, MagicCookie, PluginChannel, Serve, config::ByteSize};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

#[path = "indexer/indexer.rs"]
mod indexer;

use indexer::{IndexRequest, Indexer, IndexerClient, IndexerServer, Progress, SearchRequest, SearchResponse};

const COOKIE: (&str, &str) = ("STREAMS_PLUGIN", "6d20-streams");

fn main() -> Result<ExitCode> {
    if env::var_os(COOKIE.0).is_some() { Ok(plugin()) } else { host() }
}

fn plugin() -> ExitCode {
    Serve::new(MagicCookie::new(COOKIE.0, COOKIE.1).expect("a key and a value"))
        .version(1, IndexerServer::new(OneByOne))
        .main()
}

/// Indexes one document after the other.
struct OneByOne;

#[tonic::async_trait]
impl Indexer for OneByOne {
    type IndexStream = ReceiverStream<Result<Progress, Status>>;

    async fn index(&self, request: Request<IndexRequest>) -> Result<Response<Self::IndexStream>, Status> {
        let documents = request.into_inner().documents;
        let (progress, stream) = mpsc::channel(4);
        tokio::spawn(async move {
            tokio::select! {
                () = index_each(documents, &progress) => tracing::info!("indexed all documents"),
                () = progress.closed() => tracing::warn!("the call is cancelled"),
            }
        });
        Ok(Response::new(ReceiverStream::new(stream)))
    }

    async fn search(&self, _request: Request<SearchRequest>) -> Result<Response<SearchResponse>, Status> {
        let _dropped = Dropped;
        tokio::time::sleep(Duration::from_secs(60)).await;
        Err(Status::not_found("nothing is found"))
    }
}

async fn index_each(documents: Vec<String>, progress: &mpsc::Sender<Result<Progress, Status>>) {
    let total = u32::try_from(documents.len()).unwrap_or(u32::MAX);
    for (done, document) in (1..).zip(documents) {
        // Stands for work.
        tokio::time::sleep(Duration::from_millis(20)).await;
        let _ = progress.send(Ok(Progress { done, total, document })).await;
    }
}

/// Logs when a handler is dropped before its end.
struct Dropped;

impl Drop for Dropped {
    fn drop(&mut self) {
        tracing::warn!("the handler is dropped");
    }
}

#[tokio::main]
async fn host() -> Result<ExitCode> {
    tracing_subscriber::fmt().with_env_filter("streams=info").with_writer(stderr).with_ansi(false).init();
    let host = Host::new(MagicCookie::new(COOKIE.0, COOKIE.1)?, 1)
        .configure(|config| config.max_receive_message_size = Some(ByteSize::mib(4)));
    let plugin = host.launch(Command::new(env::current_exe().into_diagnostic()?)).await?;
    let indexer = IndexerClient::new(plugin.channel());

    read_to_the_end(indexer.clone()).await.into_diagnostic()?;
    drop_early(indexer.clone()).await.into_diagnostic()?;
    give_a_deadline(indexer.clone()).await;

    tokio::select! {
        result = index_many(indexer) => result.into_diagnostic()?,
        // The other branch is dropped, and with it the stream.
        result = tokio::signal::ctrl_c() => result.into_diagnostic()?,
    }
    println!("the plugin {}", plugin.shut_down().await);
    Ok(ExitCode::SUCCESS)
}

async fn read_to_the_end(mut indexer: IndexerClient<PluginChannel>) -> Result<(), Status> {
    let documents = ["a.txt", "b.txt", "c.txt"].map(str::to_owned).to_vec();
    let mut stream = indexer.index(IndexRequest { documents }).await?.into_inner();
    while let Some(Progress { done, total, document }) = stream.message().await? {
        println!("{done} of {total}: {document}");
    }
    Ok(())
}

async fn drop_early(mut indexer: IndexerClient<PluginChannel>) -> Result<(), Status> {
    let mut stream = indexer.index(many_documents()).await?.into_inner();
    if let Some(Progress { document, .. }) = stream.message().await? {
        println!("{document} is enough");
    }
    // This cancels the call.
    drop(stream);
    Ok(())
}

async fn give_a_deadline(mut indexer: IndexerClient<PluginChannel>) {
    let mut request = Request::new(SearchRequest { text: "needle".to_owned() });
    request.set_timeout(Duration::from_millis(200));
    if let Err(status) = indexer.search(request).await {
        println!("{:?}: {}", status.code(), status.message());
    }
}

async fn index_many(mut indexer: IndexerClient<PluginChannel>) -> Result<(), Status> {
    let mut stream = indexer.index(many_documents()).await?.into_inner();
    while let Some(Progress { done, .. }) = stream.message().await? {
        if done == 1 {
            println!("indexing until Ctrl-C");
        }
    }
    Ok(())
}

/// Documents for minutes.
fn many_documents() -> IndexRequest {
    IndexRequest { documents: (1..=5000).map(|number| format!("document {number}")).collect() }
}
