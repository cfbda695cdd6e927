//! `call --serve`: the services that the plugin calls back, with responses from a file.

mod canned;
mod id_field;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    path::PathBuf,
    sync::OnceLock,
};

use miette::Report;
use prost_reflect::{MethodDescriptor, ServiceDescriptor};
use rpcplugin::{Plugin, Services, broker::ServiceHandle};
use serde_json::{json, value::RawValue};
use tokio::sync::mpsc;

use self::canned::Canned;
pub(super) use self::id_field::possible_id_field;
use super::references::Responses;
use crate::{
    error::{CommandError, UsageError},
    protojson::{self, Types},
    schema::Schema,
    ui::{Out, style::dim},
};

/// A service to serve, and the file with its responses.
#[derive(Debug, Clone)]
pub(crate) struct ServeOption {
    service: String,
    file: PathBuf,
}

/// Parses `SERVICE=FILE`.
pub(super) fn parse(text: &str) -> Result<ServeOption, String> {
    match text.split_once('=') {
        Some((service, file)) if !service.is_empty() && !file.is_empty() => {
            Ok(ServeOption { service: service.to_owned(), file: file.into() })
        }
        _ => Err("expected SERVICE=FILE".to_owned()),
    }
}

/// The services for the plugin. Dropping this ends them.
#[derive(Debug)]
pub(super) struct Served {
    offered: Vec<Offered>,
    /// The services that the plugin can dial, the oldest first. A plugin may keep an id for a later call.
    handles: VecDeque<ServiceHandle>,
    calls: mpsc::Receiver<String>,
    called: mpsc::Sender<String>,
}

/// A service whose responses have been read from a file.
#[derive(Debug)]
struct Offered {
    service: String,
    file: String,
    responses: BTreeMap<String, Box<RawValue>>,
    full_name: OnceLock<&'static str>,
}

impl Served {
    /// Reads the files of the options.
    ///
    /// # Errors
    /// A file that cannot be read, or has no JSON object, and two services with the same name.
    pub(super) fn open(options: &[ServeOption]) -> Result<Self, UsageError> {
        let (called, calls) = mpsc::channel(MOST_CALLS);
        let offered = options.iter().map(Offered::read).collect::<Result<Vec<_>, _>>()?;
        let mut names = BTreeSet::new();
        if let Some(one) = offered.iter().find(|one| !names.insert(one.name())) {
            return Err(UsageError::new(
                format!("two services have the name {}", one.name()),
                "serve one of them: a reference has the last part of the name",
            ));
        }
        Ok(Self { offered, handles: VecDeque::new(), calls, called })
    }

    /// Whether there is no service.
    pub(super) fn is_empty(&self) -> bool {
        self.offered.is_empty()
    }

    /// Serves what the JSON of a request refers to, and adds the new ids to `responses`, under the name `serve`. Without a reference
    /// the id of the only service becomes the value of the only field that may be a broker id.
    ///
    /// Each request gets an id of its own, because a plugin in Go can dial an id once.
    ///
    /// # Errors
    /// A reference to a service that is not served, responses that do not fit their methods, and a broker that cannot serve.
    pub(super) async fn prepared(
        &mut self,
        mut json: String,
        method: &MethodDescriptor,
        (plugin, schema): (&Plugin, &Schema),
        responses: &mut Responses,
    ) -> Result<String, CommandError> {
        let referred: Vec<&Offered> =
            self.offered.iter().filter(|one| json.contains(&one.reference())).collect();
        if referred.is_empty() && json.contains("${serve.") {
            let known: Vec<String> = self.offered.iter().map(Offered::reference).collect();
            let help = match known.as_slice() {
                [] => "serve it with --serve SERVICE=FILE".to_owned(),
                known => format!("use a service that is served: {}", known.join(", ")),
            };
            return Err(UsageError::new("the request refers to a service that is not served", help).into());
        }
        let field = match (referred.as_slice(), self.offered.as_slice()) {
            ([], [_]) if !method.is_client_streaming() => id_field::id_field(&method.input()),
            _ => None,
        };
        let field = field.filter(|field| id_field::is_free(&json, field));
        let chosen = if field.is_some() { self.offered.iter().collect() } else { referred };
        let mut ids = BTreeMap::new();
        for one in chosen {
            let services = one.services(schema, self.called.clone())?;
            let handle = plugin.broker().serve(services).await.map_err(Report::new)?;
            let id = u32::from(handle.id());
            ids.insert(one.name().to_owned(), id);
            if let Some(field) = &field {
                json = id_field::with(&json, field, id);
            }
            if self.handles.len() == MOST_SERVICES {
                self.handles.pop_front();
            }
            self.handles.push_back(handle);
        }
        if !ids.is_empty() {
            responses.insert("serve", json!(ids).to_string());
        }
        Ok(json)
    }

    /// Checks that the request has the id of a service.
    pub(super) fn is_used(&self, method: &MethodDescriptor) -> Result<(), UsageError> {
        match self.offered.first() {
            Some(one) if self.handles.is_empty() => Err(UsageError::new(
                format!("the request has no field for the id of {}", one.name()),
                format!(
                    "write \"{}\" as the value of a field of {}",
                    one.reference(),
                    method.input().full_name()
                ),
            )),
            _ => Ok(()),
        }
    }

    /// Prints which calls the plugin has made.
    pub(super) fn show_calls(&mut self, out: &mut Out) {
        while let Ok(call) = self.calls.try_recv() {
            out.note(dim(format_args!("the plugin called {call}")));
        }
    }
}

impl Offered {
    fn read(option: &ServeOption) -> Result<Self, UsageError> {
        let file = option.file.display().to_string();
        let help = "name a file with a JSON object, in which each method has its response: {\"Sum\": {\"r\": \"3\"}}";
        let text = std::fs::read_to_string(&option.file)
            .map_err(|error| UsageError::new(format!("{file} cannot be read: {error}"), help))?;
        let responses = serde_json::from_str(&text)
            .map_err(|error| UsageError::new(format!("{file} has no responses: {error}"), help))?;
        Ok(Self { service: option.service.clone(), file, responses, full_name: OnceLock::new() })
    }

    /// Returns the last part of the service's name.
    fn name(&self) -> &str {
        self.service.rsplit('.').next().unwrap_or_default()
    }

    fn reference(&self) -> String {
        format!("${{serve.{}}}", self.name())
    }

    /// Returns the service with its responses.
    fn services(&self, schema: &Schema, called: mpsc::Sender<String>) -> Result<Services, UsageError> {
        let service = self.described(schema)?;
        let mut canned = Canned::new(called);
        let types = Types::new(service.parent_pool());
        for (name, json) in &self.responses {
            let method = service.methods().find(|method| method.name() == name).ok_or_else(|| {
                let known: Vec<String> = service.methods().map(|method| method.name().to_owned()).collect();
                let message = format!("{}: {} has no method {name}", self.file, service.full_name());
                UsageError::new(message, format!("use a method of the service: {}", known.join(", ")))
            })?;
            let read = |json: &RawValue| {
                protojson::read(json.get().as_bytes(), &method.output(), &types).map_err(|fault| {
                    let name = method.output().full_name().to_owned();
                    let message =
                        format!("{}: the response of {} is invalid: {fault}", self.file, method.name());
                    UsageError::new(message, format!("give a {name} as JSON"))
                })
            };
            if method.is_client_streaming() && method.is_server_streaming() {
                let message = format!("{}: {name} has streams in both directions", self.file);
                return Err(UsageError::new(
                    message,
                    "leave the method out: its responses depend on its requests",
                ));
            }
            let messages = if method.is_server_streaming() {
                let list: Vec<Box<RawValue>> = serde_json::from_str(json.get()).map_err(|_| {
                    let message = format!("{}: the response of {name} is not a list", self.file);
                    UsageError::new(message, "give a list of responses for a method with a response stream")
                })?;
                list.iter().map(|json| read(json)).collect::<Result<_, _>>()?
            } else {
                vec![read(json)?]
            };
            canned.insert(method, messages);
        }
        // The name is used until the process ends, which this command does after its calls. Each option has one.
        let name = self.full_name.get_or_init(|| Box::leak(service.full_name().to_owned().into_boxed_str()));
        Ok(Services::new().add_named(name, canned))
    }

    fn described(&self, schema: &Schema) -> Result<ServiceDescriptor, UsageError> {
        let is_meant = |name: &str| {
            name.strip_suffix(&*self.service).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        };
        let mut found = schema.pool.services().filter(|service| is_meant(service.full_name()));
        match (found.next(), found.next()) {
            (Some(service), None) => Ok(service),
            (None, _) => Err(UsageError::new(
                format!("there is no description of the service {}", self.service),
                "describe the service with --proto FILE or --descriptor-set FILE",
            )),
            (Some(one), Some(other)) => Err(UsageError::new(
                format!("{} is ambiguous", self.service),
                format!("use a longer name: {}, {}", one.full_name(), other.full_name()),
            )),
        }
    }
}

/// The maximum number of calls that are kept until they are printed. Further ones are answered and not printed.
const MOST_CALLS: usize = 256;

/// The maximum number of services that are kept. Each has a socket.
const MOST_SERVICES: usize = 100;
