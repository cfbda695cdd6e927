//! The services and messages of a plugin, from its reflection and from files.

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
    files::GivenFiles,
    pool::{LeftOut, Undescribed},
    reflection::Reflection,
    unknown::unknown_fields,
};
use self::{
    check::{Owner, Source, join},
    descriptor::{File, Method},
    pool::{Described, ServiceState},
    reflection::PluginFiles,
};

/// The known services and messages of a plugin.
#[derive(Debug)]
pub(crate) struct Schema {
    /// The result of reflection. `None` if reflection was not used.
    pub(crate) reflection: Option<Reflection>,
    /// The names of the given files.
    pub(crate) files: Option<String>,
    /// The names of the services that the plugin serves or that the given files describe.
    pub(crate) services: Vec<String>,
    /// All services and messages with a complete description.
    pub(crate) pool: DescriptorPool,
    /// The files that cannot be used.
    pub(crate) left_out: Vec<LeftOut>,
    states: BTreeMap<String, ServiceState>,
    /// The reasons why the plugin sends no file for a service.
    without_file: BTreeMap<String, String>,
    /// The methods in the given files and in the plugin's files, for comparison.
    of_files: Methods,
    of_plugin: Methods,
}

/// The signatures of methods, by service and name.
type Methods = BTreeMap<String, BTreeMap<String, String>>;

impl Schema {
    /// Returns the schema from files and from the plugin's reflection.
    pub(crate) async fn of(given: Option<&GivenFiles>, channel: &PluginChannel) -> Self {
        Self::assemble(given, Some(reflection::fetch(channel).await))
    }

    /// Returns the schema from files alone.
    pub(crate) fn of_files(given: &GivenFiles) -> Self {
        Self::assemble(Some(given), None)
    }

    /// Returns the description of a service.
    pub(crate) fn service(&self, name: &str) -> Option<ServiceDescriptor> {
        self.pool.get_service_by_name(name)
    }

    /// Returns why a service has no description.
    pub(crate) fn fault(&self, service: &str) -> Option<String> {
        if let Some(state) = self.states.get(service) {
            return state.why.clone();
        }
        let bound = match &self.reflection {
            Some(Reflection::Served { bound, .. }) => bound.clone(),
            _ => None,
        };
        let reason =
            self.without_file.get(service).map(|why| format!("the plugin sends no description: {why}"));
        reason.or(bound).or_else(|| Some("the plugin sends no description".to_owned()))
    }

    /// Returns the methods of a service that cannot be called, because a type is unknown.
    pub(crate) fn undescribed(&self, service: &str) -> &[Undescribed] {
        self.states.get(service).map_or(&[], |state| &state.methods)
    }

    /// Whether the plugin serves a service. `None` if reflection does not report it.
    pub(crate) fn serves(&self, name: &str) -> Option<bool> {
        match &self.reflection {
            Some(Reflection::Served { services, .. }) => Some(services.iter().any(|served| served == name)),
            _ => None,
        }
    }

    /// Returns how the plugin's description of a method differs from the given file.
    pub(crate) fn difference(&self, service: &str, method: &str) -> Option<String> {
        let in_file = self.of_files.get(service)?.get(method)?;
        match self.of_plugin.get(service)?.get(method) {
            None => Some("the plugin does not have this method".to_owned()),
            Some(own) => (own != in_file).then(|| format!("in the plugin: {own}")),
        }
    }

    /// Returns the methods of a service that the plugin has and the given files do not have.
    pub(crate) fn beyond_files(&self, service: &str) -> Vec<String> {
        let (Some(in_file), Some(own)) = (self.of_files.get(service), self.of_plugin.get(service)) else {
            return Vec::new();
        };
        own.keys().filter(|method| !in_file.contains_key(*method)).cloned().collect()
    }

    fn assemble(given: Option<&GivenFiles>, sent: Option<PluginFiles>) -> Self {
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
        if let Some(sent) = sent {
            of_plugin = methods(sent.files.iter());
            sources.extend(sent.files.into_iter().map(|file| Source { owner: Owner::Plugin, file }));
            left_out.extend(sent.left_out);
            without_file = sent.without_file;
            reflection = Some(sent.reflection);
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

/// Whether a service belongs to go-plugin, to gRPC or to rpcplugin, not to the application.
pub(crate) fn is_of_the_protocol(service: &str) -> bool {
    ["plugin.GRPC", "grpc.health.", "grpc.reflection.", "rpcplugin.v1."]
        .iter()
        .any(|start| service.starts_with(start))
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

    /// Returns the schema of a plugin that serves only these services.
    async fn known_of(services: Services) -> Schema {
        let dir = SocketDir::private(None).unwrap();
        let listener = Listener::unix_in(&dir).unwrap();
        let endpoint = listener.endpoint().clone();
        let serving = http2::Serving::new(services, Security::Plain, Default::default());
        let server = tokio::spawn(http2::serve(listener, serving));
        let host = Host::new(MagicCookie::new("REFLECTION", "test").unwrap(), 1);
        let plugin = host.attach(Attachment::new(endpoint, 1)).await.unwrap();
        let schema = Schema::of(None, &plugin.channel()).await;
        // Wait until the host knows that the plugin has neither stdio nor a broker.
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
    async fn both_versions_of_reflection_are_supported() {
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

    /// This server ends the stream after a request for an unknown service.
    #[tokio::test]
    async fn a_service_without_a_description_does_not_hide_the_others() {
        let builder = describing().with_service_name("a.made.ByHand").with_service_name("z.made.ByHand");
        let builder = builder.with_service_name("grpc.reflection.v1.ServerReflection");
        let schema = known_of(Services::new().add(builder.build_v1().unwrap())).await;
        assert!(schema.service("grpc.reflection.v1.ServerReflection").is_some(), "{schema:?}");
        assert!(schema.fault("a.made.ByHand").unwrap().contains("not found"), "{schema:?}");
        assert_eq!(schema.services.len(), 3);
    }
}
