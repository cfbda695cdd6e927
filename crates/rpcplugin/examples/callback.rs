//! A plugin that calls its host: both halves in one program.
//!
//! ```text
//! cargo run --example callback
//! ```
//!
//! The host offers its dictionary to every plugin that it starts, with one line: [`Host::callbacks`]. The plugin gets a
//! channel to its host with another: [`PluginContext::host_channel`]. Nothing is connected before the first call, and
//! all calls share one connection, which is secured as the main one is.
//!
//! Interceptors and layers go around either end as around any tonic service: here the host sees which plugin asks, and
//! refuses whoever does not say the word.
#![expect(
    clippy::disallowed_methods,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a program for people to look at"
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

/// What host and plugin agree upon.
const COOKIE: (&str, &str) = ("CALLBACK_PLUGIN", "4f3a-callback");

fn main() -> ExitCode {
    let started_by_host = env::var_os(COOKIE.0).is_some();
    if started_by_host { plugin() } else { host() }
}

/// The plugin: a translator that owns no dictionary.
fn plugin() -> ExitCode {
    let cookie = MagicCookie::new(COOKIE.0, COOKIE.1).expect("a key and a value");
    Serve::new(cookie)
        .version_with(1, |context| Services::new().add(TranslatorServer::new(ByTheWord::new(context))))
        .main()
}

/// Translates with the dictionary of the host.
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

/// Puts something in the headers of every call to the host.
#[derive(Clone)]
struct SayPlease;

impl Interceptor for SayPlease {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request.metadata_mut().insert("please", "yes".parse().expect("a header value"));
        Ok(request)
    }
}

/// The host: offers its dictionary, starts the plugin and has something translated.
#[tokio::main]
async fn host() -> ExitCode {
    match story().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(report) => {
            eprintln!("{report:?}");
            ExitCode::FAILURE
        }
    }
}

async fn story() -> Result<()> {
    let dictionary = FrenchToEnglish::new();
    let host = Host::new(MagicCookie::new(COOKIE.0, COOKIE.1)?, 1).callbacks_with(move |caller| {
        // Services that need not know who calls are given to `callbacks` as they are.
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

/// What the host lends its plugins.
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

/// Looks at the headers of every call to the host.
fn only_the_polite(request: Request<()>) -> Result<Request<()>, Status> {
    match request.metadata().get("please") {
        Some(_) => Ok(request),
        None => Err(Status::permission_denied("the word is please")),
    }
}
