//! A plugin with instances, for the tests of hosts in Rust and Go.
//!
//! `conformance.v1.Sub/Greet` runs a command: the name to greet is the command. A [`Sub`] greets in the words of the instance
//! that the call names.

use std::{
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use futures_util::stream;
use rpcplugin::{
    MagicCookie, PluginContext, Serve, Services,
    config::Loader,
    plugin::{Instance, InstanceSpec, Instances},
};
use rpcplugin_tests::pb::{
    CloseRequest, CloseResponse, GreetRequest, GreetResponse, TicksRequest, TicksResponse,
    sub_server::{Sub, SubServer},
};
use serde::Deserialize;
use tonic::{Request, Response, Status, codegen::BoxStream};

/// The configuration of an instance.
#[derive(Deserialize)]
struct Settings {
    greeting: String,
    /// Must reach no log.
    #[serde(default)]
    secret: String,
    /// What the creation does in place of making the instance.
    #[serde(default)]
    fault: Option<String>,
}

struct Person {
    settings: Settings,
    alive: Arc<AtomicUsize>,
}

impl Person {
    async fn new(spec: InstanceSpec, alive: Arc<AtomicUsize>) -> Result<Self, Status> {
        let settings: Settings = spec.json()?;
        tracing::debug!(?spec, "making an instance");
        match settings.fault.as_deref() {
            Some("panic") => panic!("as configured"),
            Some("refuse") => return Err(Status::permission_denied("not this one")),
            Some("unimplemented") => return Err(Status::unimplemented("not yet")),
            Some("never") => std::future::pending().await,
            _ => {}
        }
        alive.fetch_add(1, SeqCst);
        Ok(Self { settings, alive })
    }
}

impl Drop for Person {
    fn drop(&mut self) {
        self.alive.fetch_sub(1, SeqCst);
    }
}

#[derive(Clone)]
struct Commands {
    people: Instances<Person>,
    alive: Arc<AtomicUsize>,
    context: PluginContext,
}

impl Commands {
    /// Serves the commands through the broker too, and returns the id.
    async fn serve_another(&self) -> Result<String, Status> {
        let served = self.context.broker.serve(Services::new().add(SubServer::new(self.clone()))).await;
        let served = served.map_err(|error| Status::unavailable(error.to_string()))?;
        let id = served.id().to_string();
        served.detach();
        Ok(id)
    }
}

fn log_at_all_levels(text: &str) {
    tracing::error!("error {text}");
    tracing::warn!("warn {text}");
    tracing::info!("info {text}");
    tracing::debug!("debug {text}");
}

#[tonic::async_trait]
impl Sub for Commands {
    async fn greet(&self, request: Request<GreetRequest>) -> Result<Response<GreetResponse>, Status> {
        let command = request.get_ref().name.as_str();
        // These need no instance.
        match command {
            "alive" => {
                return Ok(Response::new(GreetResponse { text: self.alive.load(SeqCst).to_string() }));
            }
            "serve" => return Ok(Response::new(GreetResponse { text: self.serve_another().await? })),
            "crash" => std::process::abort(),
            _ => {}
        }
        let person = self.people.of(&request)?;
        let text = match command {
            "remove yourself" => self.people.remove(person.id()).to_string(),
            "secret" => format!("{} characters", person.settings.secret.len()),
            "wait" => {
                tracing::info!("waiting");
                person.removed().await;
                "removed".to_owned()
            }
            text => {
                log_at_all_levels(text);
                format!("{}, {text}!", person.settings.greeting)
            }
        };
        Ok(Response::new(GreetResponse { text }))
    }

    type TicksStream = BoxStream<TicksResponse>;

    /// Ticks until the instance is removed if `n` is negative.
    async fn ticks(&self, request: Request<TicksRequest>) -> Result<Response<Self::TicksStream>, Status> {
        let person = self.people.of(&request)?;
        let n = request.get_ref().n;
        let ticks =
            stream::unfold((person, 0_i64), move |(person, value): (Instance<Person>, _)| async move {
                tracing::info!(value, "tick");
                if n < 0 {
                    let tick = tokio::time::sleep(Duration::from_millis(10));
                    tokio::select! {
                        () = tick => {}
                        () = person.removed() => return None,
                    }
                }
                (n < 0 || value < n).then_some((Ok(TicksResponse { value }), (person, value + 1)))
            });
        Ok(Response::new(Box::pin(ticks)))
    }

    /// Ignores the removal of its instance.
    async fn close(&self, request: Request<CloseRequest>) -> Result<Response<CloseResponse>, Status> {
        let _person = self.people.of(&request)?;
        tracing::info!("ignoring all");
        std::future::pending().await
    }
}

fn main() -> ExitCode {
    let cookie = MagicCookie::new("INSTANCES_PLUGIN", "yes").expect("a key and a value");
    let alive = Arc::new(AtomicUsize::new(0));
    let people = {
        let alive = Arc::clone(&alive);
        Instances::new(move |spec| Person::new(spec, Arc::clone(&alive))).limit(100)
    };
    let served = people.clone();
    Serve::new(cookie)
        .load_config(&Loader::new().process_env())
        .version_with(1, move |context| {
            let context = context.clone();
            Services::new().add(SubServer::new(Commands { people: served, alive, context }))
        })
        .instances(&people)
        .main()
}
