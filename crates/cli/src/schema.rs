//! Which services and messages a plugin has: from itself by reflection, and from files.

mod args;
mod check;
mod descriptor;
mod features;
mod files;
#[cfg(test)]
mod mutation;
mod pool;
mod reflection;
mod unknown;

use std::collections::{BTreeMap, BTreeSet};

use prost_reflect::{DescriptorPool, ServiceDescriptor};
use rpcplugin::PluginChannel;

pub(crate) use self::{
    args::SchemaArgs,
    files::Given,
    pool::{LeftOut, Undescribed},
    reflection::Reflection,
    unknown::unknown_fields,
};
use self::{
    check::{Owner, Source, join},
    descriptor::{File, Method},
    pool::{Described, ServiceState},
    reflection::Answered,
};

/// What a plugin serves, as far as it is known.
#[derive(Debug)]
pub(crate) struct Schema {
    /// What the plugin says of itself. None if it was not asked.
    pub(crate) reflection: Option<Reflection>,
    /// The files that the user gave, as they are spoken of.
    pub(crate) files: Option<String>,
    /// The names of the services: those that the plugin serves, and those of the user's files.
    pub(crate) services: Vec<String>,
    /// The descriptions of all services and messages that are fully described.
    pub(crate) pool: DescriptorPool,
    /// The files that cannot be used.
    pub(crate) left_out: Vec<LeftOut>,
    states: BTreeMap<String, ServiceState>,
    /// Why the plugin sends no file for a service.
    without_file: BTreeMap<String, String>,
    /// The services of the user's files, and those of the plugin's, for a comparison.
    of_files: Methods,
    of_plugin: Methods,
}

/// The methods of services: what each takes and returns.
type Methods = BTreeMap<String, BTreeMap<String, String>>;

impl Schema {
    /// What is known from files and from the plugin, which is asked.
    pub(crate) async fn of(given: Option<&Given>, channel: &PluginChannel) -> Self {
        Self::put_together(given, Some(reflection::ask(channel).await))
    }

    /// What is known from files alone.
    pub(crate) fn of_files(given: &Given) -> Self {
        Self::put_together(Some(given), None)
    }

    /// A service's description.
    pub(crate) fn service(&self, name: &str) -> Option<ServiceDescriptor> {
        self.pool.get_service_by_name(name)
    }

    /// Why nothing is known of a service that is listed.
    pub(crate) fn fault(&self, service: &str) -> Option<String> {
        if let Some(state) = self.states.get(service) {
            return state.why.clone();
        }
        let bound = match &self.reflection {
            Some(Reflection::Served { bound, .. }) => bound.clone(),
            _ => None,
        };
        let said = self.without_file.get(service).map(|why| format!("the plugin has no file with it: {why}"));
        said.or(bound).or_else(|| Some("the plugin has no file with it".to_owned()))
    }

    /// The methods of a service that cannot be called, since not all of their types are known.
    pub(crate) fn undescribed(&self, service: &str) -> &[Undescribed] {
        self.states.get(service).map_or(&[], |state| &state.methods)
    }

    /// Whether the plugin serves this. None if it is not known what it serves.
    pub(crate) fn serves(&self, name: &str) -> Option<bool> {
        match &self.reflection {
            Some(Reflection::Served { services, .. }) => Some(services.iter().any(|served| served == name)),
            _ => None,
        }
    }

    /// What the plugin says of a method that a file describes, if it says something else.
    pub(crate) fn difference(&self, service: &str, method: &str) -> Option<String> {
        let in_file = self.of_files.get(service)?.get(method)?;
        match self.of_plugin.get(service)?.get(method) {
            None => Some("the plugin does not have it".to_owned()),
            Some(own) => (own != in_file).then(|| format!("the plugin has it as {own}")),
        }
    }

    /// The methods that the plugin has of a service, and the user's files have not.
    pub(crate) fn beyond_files(&self, service: &str) -> Vec<String> {
        let (Some(in_file), Some(own)) = (self.of_files.get(service), self.of_plugin.get(service)) else {
            return Vec::new();
        };
        own.keys().filter(|method| !in_file.contains_key(*method)).cloned().collect()
    }

    fn put_together(given: Option<&Given>, answered: Option<Answered>) -> Self {
        let mut sources = Vec::new();
        let mut left_out = Vec::new();
        if let Some(given) = given {
            let owner = Owner::User(given.name.clone());
            sources
                .extend(given.files.iter().map(|file| Source { owner: owner.clone(), file: file.clone() }));
            left_out.extend(given.left_out.iter().cloned());
        }
        let of_files = methods(sources.iter().map(|source| &source.file));
        let mut services: BTreeSet<String> = of_files.keys().cloned().collect();
        let (mut reflection, mut without_file, mut of_plugin) = (None, BTreeMap::new(), Methods::new());
        if let Some(answered) = answered {
            of_plugin = methods(answered.files.iter());
            sources.extend(answered.files.into_iter().map(|file| Source { owner: Owner::Plugin, file }));
            left_out.extend(answered.left_out);
            without_file = answered.without_file;
            reflection = Some(answered.reflection);
        }
        let mut bound = None;
        if let Some(Reflection::Served { services: served, bound: reached, .. }) = &reflection {
            services.extend(served.iter().cloned());
            bound.clone_from(reached);
        }
        let Described { pool, services: states, left_out: more } = pool::describe(&sources, bound.as_deref());
        left_out.extend(more);
        Self {
            reflection,
            files: given.map(|given| given.name.clone()),
            services: services.into_iter().collect(),
            pool,
            left_out,
            states,
            without_file,
            of_files,
            of_plugin,
        }
    }
}

/// Whether a service belongs to go-plugin or gRPC, and not to the application.
pub(crate) fn is_of_the_protocol(service: &str) -> bool {
    ["plugin.GRPC", "grpc.health.", "grpc.reflection."].iter().any(|start| service.starts_with(start))
}

fn methods<'a>(files: impl Iterator<Item = &'a File>) -> Methods {
    let mut found = Methods::new();
    for file in files {
        for service in &file.service {
            let methods = service.method.iter().map(|method| (method.name.clone(), signature(method)));
            found.entry(join(&file.package, &service.name)).or_insert_with(|| methods.collect());
        }
    }
    found
}

fn signature(method: &Method) -> String {
    let stream = |streaming: bool| if streaming { "stream " } else { "" };
    let (input, output) = (method.input.trim_start_matches('.'), method.output.trim_start_matches('.'));
    format!("{}{input} → {}{output}", stream(method.client_streaming), stream(method.server_streaming))
}

#[cfg(test)]
mod tests {
    use rpcplugin::{
        Host, MagicCookie, Services,
        host::Attachment,
        transport::{Listener, Security, SocketDir, http2},
    };
    use tokio::time::timeout;
    use tonic_reflection::server::Builder;

    use super::*;
    use crate::schema::Schema;

    /// What is known of a plugin that serves these, and nothing else.
    async fn known_of(services: Services) -> Schema {
        let dir = SocketDir::private(None).unwrap();
        let listener = Listener::unix_in(&dir).unwrap();
        let endpoint = listener.endpoint().clone();
        let serving = http2::Serving::new(services, Security::Plain, Default::default());
        let server = tokio::spawn(http2::serve(listener, serving));
        let host = Host::new(MagicCookie::new("REFLECTION", "test").unwrap(), 1);
        let plugin = host.attach(Attachment::new(endpoint, 1)).await.unwrap();
        let schema = Schema::of(None, &plugin.channel()).await;
        // It serves neither, and says so in its own time.
        timeout(std::time::Duration::from_secs(10), async {
            while plugin.forwards_output() || plugin.serves_broker() {
                tokio::task::yield_now().await;
            }
        })
        .await
        .unwrap();
        server.abort();
        schema
    }

    fn describing() -> Builder<'static> {
        Builder::configure()
            .register_encoded_file_descriptor_set(tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET)
    }

    #[tokio::test]
    async fn both_versions_of_the_service_are_asked() {
        let new = known_of(Services::new().add(describing().build_v1().unwrap())).await;
        assert!(matches!(new.reflection, Some(Reflection::Served { version: "v1", .. })));
        let old = known_of(Services::new().add(describing().build_v1alpha().unwrap())).await;
        assert!(matches!(old.reflection, Some(Reflection::Served { version: "v1alpha", .. })));
        for schema in [new, old] {
            let service = schema.service("grpc.reflection.v1.ServerReflection").unwrap();
            assert_eq!(service.methods().count(), 1, "{:?}", schema.services);
        }
        let none = known_of(Services::new()).await;
        assert!(matches!(none.reflection, Some(Reflection::Absent)) && none.services.is_empty());
    }

    /// This server ends the whole stream where it does not know a service.
    #[tokio::test]
    async fn a_service_without_a_description_keeps_none_of_the_others_away() {
        let builder = describing().with_service_name("a.made.ByHand").with_service_name("z.made.ByHand");
        let builder = builder.with_service_name("grpc.reflection.v1.ServerReflection");
        let schema = known_of(Services::new().add(builder.build_v1().unwrap())).await;
        assert!(schema.service("grpc.reflection.v1.ServerReflection").is_some(), "{schema:?}");
        assert!(schema.fault("a.made.ByHand").unwrap().contains("not found"), "{schema:?}");
        assert_eq!(schema.services.len(), 3);
    }
}
