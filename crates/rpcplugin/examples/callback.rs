//! A plugin that calls its host: both halves in one program.
//!
//! ```text
//! cargo run --example callback
//! ```
//!
//! The host serves a dictionary to every plugin that it launches, with one line: [`Host::callbacks_with`]. The plugin gets
//! a channel to its host with another: [`PluginContext::host_channel`]. The first call opens the connection. All calls
//! share it, and it is secured as the main connection is.
//!
//! Interceptors and layers work on both sides as with any tonic service. Here the host prints which plugin calls, and
//! refuses calls without the header `please`.
#![expect(
    clippy::disallowed_methods,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "the program prints for people"
)]

use std::{collections::HashMap, env, process::ExitCode};

use miette::{IntoDiagnostic as _, Result};
use rpcplugin::{Command, Host, MagicCookie, PluginChannel, PluginContext, Serve, Services};
use tonic::{
    Request, Response, Status,
    service::{Interceptor, interceptor::InterceptedService},
};

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
#[path = "callback/generated/callback.rs"]
mod proto;

use proto::{
    LookUpRequest, LookUpResponse, TranslateRequest, TranslateResponse,
    dictionary_client::DictionaryClient,
    dictionary_server::{Dictionary, DictionaryServer},
    translator_client::TranslatorClient,
    translator_server::{Translator, TranslatorServer},
};

/// The cookie that host and plugin share.
const COOKIE: (&str, &str) = ("CALLBACK_PLUGIN", "4f3a-callback");

fn main() -> ExitCode {
    let started_by_host = env::var_os(COOKIE.0).is_some();
    if started_by_host { plugin() } else { host() }
}

/// The plugin: a translator without a dictionary.
fn plugin() -> ExitCode {
    let cookie = MagicCookie::new(COOKIE.0, COOKIE.1).expect("a key and a value");
    Serve::new(cookie)
        .version_with(1, |context| Services::new().add(TranslatorServer::new(ByTheWord::new(context))))
        .main()
}

/// Translates word by word with the dictionary of the host.
struct ByTheWord {
    dictionary: DictionaryClient<InterceptedService<PluginChannel, SayPlease>>,
}

impl ByTheWord {
    fn new(context: &PluginContext) -> Self {
        Self { dictionary: DictionaryClient::with_interceptor(context.host_channel(), SayPlease) }
    }
}

#[tonic::async_trait]
impl Translator for ByTheWord {
    async fn translate(
        &self,
        request: Request<TranslateRequest>,
    ) -> Result<Response<TranslateResponse>, Status> {
        let mut words = Vec::new();
        for word in request.get_ref().text.split_whitespace() {
            let looked_up = self.dictionary.clone().look_up(LookUpRequest { word: word.to_owned() }).await;
            words.push(match looked_up {
                Ok(found) => found.into_inner().meaning,
                Err(status) if status.code() == tonic::Code::NotFound => format!("[{word}]"),
                Err(status) => return Err(status),
            });
        }
        Ok(Response::new(TranslateResponse { text: words.join(" ") }))
    }
}

/// Adds a header to every call to the host.
#[derive(Clone)]
struct SayPlease;

impl Interceptor for SayPlease {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request.metadata_mut().insert("please", "yes".parse().expect("a header value"));
        Ok(request)
    }
}

/// The host: serves a dictionary, launches the plugin and calls the translator.
#[tokio::main]
async fn host() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(report) => {
            eprintln!("{report:?}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<()> {
    let dictionary = FrenchToEnglish::new();
    let host = Host::new(MagicCookie::new(COOKIE.0, COOKIE.1)?, 1).callbacks_with(move |caller| {
        // Services that do not depend on the plugin are passed to `callbacks`.
        println!("{} may use the dictionary", caller.plugin.name);
        Services::new().add(DictionaryServer::with_interceptor(dictionary.clone(), only_the_polite))
    });
    let plugin = host.launch(Command::new(env::current_exe().into_diagnostic()?)).await?;

    let mut translator = TranslatorClient::new(plugin.channel());
    for text in ["bonjour le monde", "bonjour les amis"] {
        let answer = translator.translate(TranslateRequest { text: text.to_owned() }).await;
        println!("{text} = {}", answer.into_diagnostic()?.into_inner().text);
    }

    println!("the plugin {}", plugin.shut_down().await);
    Ok(())
}

/// The dictionary of the host.
#[derive(Clone)]
struct FrenchToEnglish(HashMap<&'static str, &'static str>);

impl FrenchToEnglish {
    fn new() -> Self {
        Self(HashMap::from([("bonjour", "hello"), ("le", "the"), ("les", "the"), ("monde", "world")]))
    }
}

#[tonic::async_trait]
impl Dictionary for FrenchToEnglish {
    async fn look_up(&self, request: Request<LookUpRequest>) -> Result<Response<LookUpResponse>, Status> {
        let word = request.into_inner().word;
        let meaning = self.0.get(word.as_str()).ok_or_else(|| Status::not_found(word))?;
        Ok(Response::new(LookUpResponse { meaning: (*meaning).to_owned() }))
    }
}

/// Checks the headers of every call to the host.
fn only_the_polite(request: Request<()>) -> Result<Request<()>, Status> {
    match request.metadata().get("please") {
        Some(_) => Ok(request),
        None => Err(Status::permission_denied("the word is please")),
    }
}
