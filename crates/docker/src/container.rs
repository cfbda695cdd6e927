//! The runner that starts a plugin in a container.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use bollard::models::ContainerCreateBody;
#[cfg(feature = "sandbox")]
use rpcplugin_client::sandbox::Sandbox;
use rpcplugin_client::{LaunchEnvironment, LaunchFault, Requirements, Runner, StartedProcess};
use serde::{Deserialize, de::IgnoredAny};

#[cfg(feature = "sandbox")]
use crate::sandboxed;
use crate::{
    attached::{attach, streams},
    engine::{Address, Connection, Engine, Failure, Request},
    error::DockerError,
    image::ImageOptions,
    keeper::Keeper,
    options::{BindMount, Credentials, Pull, User},
    orphans, os,
    process::ContainerProcess,
    removal::Removal,
    spec::{self, Facts, Options},
    translate::{DialWithoutLinks, MountedDir},
    user::{self, Sides},
};

/// Starts a plugin in a container. For [`Host::launch_with`](rpcplugin_client::Host::launch_with) and
/// [`Host::supervise_with`](rpcplugin_client::Host::supervise_with).
///
/// Each start makes a container of its own. The [crate's documentation](crate) says what the container may and may not do.
///
/// `Debug` hides the values of variables and the password.
#[derive(Debug, Clone)]
pub struct Container {
    engine: Option<String>,
    image: ImageOptions,
    user: User,
    options: Options,
    requirements: Option<Requirements>,
    #[cfg(feature = "sandbox")]
    sandbox: Option<Sandbox>,
}

impl Container {
    /// Makes a runner of this image, for example `localhost/kv-plugin:1`. The engine must have the image, unless
    /// [`pull`](Self::pull) says otherwise.
    pub fn new(image: impl Into<String>) -> Self {
        Self {
            engine: None,
            image: ImageOptions { name: image.into(), digest: None, pull: Pull::Never, credentials: None },
            user: User::Auto,
            options: Options::default(),
            requirements: None,
            #[cfg(feature = "sandbox")]
            sandbox: None,
        }
    }

    /// Sets the address of the engine: `unix:///PATH` or `tcp://HOST:PORT`. Default: `DOCKER_HOST`, else the first that exists of
    /// `/var/run/docker.sock`, `$XDG_RUNTIME_DIR/podman/podman.sock` and `/run/podman/podman.sock`.
    ///
    /// The engine has to see the directory of the host's sockets under the same path, so an engine on another machine does not
    /// do. A TCP connection is not encrypted.
    #[must_use]
    pub fn engine(mut self, address: impl Into<String>) -> Self {
        self.engine = Some(address.into());
        self
    }

    /// Requires the image to have this digest: `sha256:` and 64 hexadecimal digits. Accepted are the id of the image and the
    /// digests that its registries know. The container is created by the id of the image that was checked, so that a tag that
    /// is moved meanwhile changes nothing.
    #[must_use]
    pub fn digest(mut self, digest: impl Into<String>) -> Self {
        self.image.digest = Some(digest.into());
        self
    }

    /// Sets when the image is fetched. Default: never. The launch timeout of the host limits the time.
    #[must_use]
    pub fn pull(mut self, pull: Pull) -> Self {
        self.image.pull = pull;
        self
    }

    /// Sets the credentials for the registry of the image. Default: those of the engine, which are often none.
    #[must_use]
    pub fn credentials(mut self, credentials: Credentials) -> Self {
        self.image.credentials = Some(credentials);
        self
    }

    /// Limits the memory, in bytes, without swap. Default: no limit.
    #[must_use]
    pub fn memory(mut self, bytes: u64) -> Self {
        self.options.memory = Some(bytes);
        self
    }

    /// Limits the time of processors, in processors: 0.5 is half of one. Default: no limit.
    #[must_use]
    pub fn cpus(mut self, cpus: f64) -> Self {
        self.options.cpus = Some(cpus);
        self
    }

    /// Limits the number of processes and threads. Default: that of the engine. A plugin on tokio has a thread for each
    /// processor, and one in Go needs some ten.
    #[must_use]
    pub fn pids(mut self, pids: u32) -> Self {
        self.options.pids = Some(pids);
        self
    }

    /// Joins a network of the engine, for example `bridge`. Default: none. Calls between host and plugin need no network.
    #[must_use]
    pub fn network(mut self, network: impl Into<String>) -> Self {
        self.options.network = Some(network.into());
        self
    }

    /// Sets the runtime, for example `runsc` or `kata`. Default: that of the engine. A start fails if the engine does not know
    /// the runtime, and if it ignores the request, as Podman does over this API.
    ///
    /// gVisor's `runsc` needs the flag `--host-uds=create` in the settings of the engine: without this flag the plugin's sockets
    /// do not exist outside of the container.
    #[must_use]
    pub fn runtime(mut self, runtime: impl Into<String>) -> Self {
        self.options.runtime = Some(runtime.into());
        self
    }

    /// Sets the user in the container. Default: [`User::Auto`].
    #[must_use]
    pub fn user(mut self, user: User) -> Self {
        self.user = user;
        self
    }

    /// Shows a directory or a file of the engine's machine in the container, for reading only. Both paths are absolute.
    #[must_use]
    pub fn mount(mut self, source: impl AsRef<Path>, target: impl AsRef<Path>) -> Self {
        self.options.mounts.push(BindMount::new(source.as_ref(), target.as_ref(), false));
        self
    }

    /// Shows a directory or a file of the engine's machine in the container, for reading and writing. Both paths are absolute.
    #[must_use]
    pub fn mount_writable(mut self, source: impl AsRef<Path>, target: impl AsRef<Path>) -> Self {
        self.options.mounts.push(BindMount::new(source.as_ref(), target.as_ref(), true));
        self
    }

    /// Sets a variable. The last value counts, also over a variable of the handshake. `TMPDIR` is [`SOCKET_DIR`](crate::SOCKET_DIR)
    /// by default, because plugins of pyvider and of old versions of go-plugin make their sockets in the directory for temporary
    /// files.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.options.env.insert(name.into(), spec::Secret(value.into()));
        self
    }

    /// Replaces the entry point of the image: the program and its first arguments.
    #[must_use]
    pub fn entrypoint(mut self, words: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.options.entrypoint = Some(words.into_iter().map(Into::into).collect());
        self
    }

    /// Replaces the arguments of the image, which follow the entry point.
    #[must_use]
    pub fn args(mut self, args: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.options.args = Some(args.into_iter().map(Into::into).collect());
        self
    }

    /// Sets the size of `/tmp`, in bytes. It is in memory, and counts as memory of the container. Default: 64 MiB.
    #[must_use]
    pub fn tmpfs(mut self, bytes: u64) -> Self {
        self.options.tmpfs = Some(bytes);
        self
    }

    /// Lets the plugin write to all files of its image. What it writes is removed with the container. Default: it may not.
    #[must_use]
    pub fn writable_root(mut self) -> Self {
        self.options.has_writable_root = true;
        self
    }

    /// Connects the plugin's standard input to [`Plugin::take_stdin`](rpcplugin_client::Plugin::take_stdin). Default: it is empty.
    #[must_use]
    pub fn stdin(mut self) -> Self {
        self.options.has_stdin = true;
        self
    }

    /// Confines the plugin: the container gets what the [`Sandbox`] allows, beside the settings of the container.
    ///
    /// Paths are mounted at the same place as on the engine's machine. Variables are those of the host. Limits of memory and of
    /// processes are limits of the container as a whole. If the container has such a limit too, the lower one counts.
    /// `Network::all` joins the network of [`network`](Self::network), or `bridge`. The
    /// [guide](https://github.com/rpcplugin/rpcplugin/blob/main/docs/guide/sandbox.md) has what each layer is in a container.
    /// [`Plugin::confinement`](rpcplugin_client::Plugin::confinement) reports what is enforced.
    ///
    /// # Errors
    /// The launch fails with [`LaunchFault::Sandbox`] if a container cannot enforce the sandbox, and if it has no counterpart for
    /// what the sandbox allows.
    #[cfg(feature = "sandbox")]
    #[cfg_attr(docsrs, doc(cfg(feature = "sandbox")))]
    #[must_use]
    pub fn sandbox(mut self, sandbox: Sandbox) -> Self {
        self.sandbox = Some(sandbox);
        self
    }

    /// Sets what the host requires of the plugin. Default: nothing.
    #[must_use]
    pub fn requirements(mut self, requirements: Requirements) -> Self {
        self.requirements = Some(requirements);
        self
    }

    /// Asks the engine whether the container could be started: whether the engine answers, has the image with the right digest, and
    /// knows the runtime. Starts nothing and pulls nothing.
    ///
    /// # Errors
    /// The [`DockerError`] that a start would have.
    ///
    /// # Cancel safety
    /// May be dropped.
    pub async fn check(&self) -> Result<Engine, DockerError> {
        let connection = Connection::describe(&self.address()?).await?;
        self.check_runtime(&connection.engine)?;
        self.image.find(&connection, false).await?;
        Ok(connection.engine)
    }

    /// Removes the containers at this engine whose hosts are gone, of any image, with the directories of their sockets. Returns the
    /// names of the containers. A start does the same in the background, at most once a minute.
    ///
    /// Whether a host is gone is known only of hosts on this machine, in the same boot and pid namespace or an earlier boot, and
    /// only on Linux. Containers of other hosts stay.
    ///
    /// # Errors
    /// [`DockerError`] if the engine does not answer, or refuses to remove a container. The other containers are removed then.
    ///
    /// # Cancel safety
    /// May be dropped. Some containers are removed then, and others are not.
    pub async fn remove_orphans(&self) -> Result<Vec<String>, DockerError> {
        let connection = Connection::to(&self.address()?).await?;
        orphans::remove_orphans(&connection).await
    }

    fn address(&self) -> Result<Address, DockerError> {
        Address::find(self.engine.as_deref())
    }

    /// Fails if the engine certainly does not have the runtime.
    fn check_runtime(&self, engine: &Engine) -> Result<(), DockerError> {
        match &self.options.runtime {
            Some(runtime) if !engine.runtimes.contains(runtime) => {
                Err(DockerError::RuntimeMissing { runtime: runtime.clone(), known: engine.runtimes.clone() })
            }
            _ => Ok(()),
        }
    }

    #[cfg(not(feature = "sandbox"))]
    async fn begin(
        &self,
        environment: &LaunchEnvironment,
    ) -> Result<StartedProcess<ContainerProcess>, LaunchFault> {
        self.begin_with(&self.options, environment).await.map_err(LaunchFault::runner)
    }

    #[cfg(feature = "sandbox")]
    async fn begin(
        &self,
        environment: &LaunchEnvironment,
    ) -> Result<StartedProcess<ContainerProcess>, LaunchFault> {
        let Some(sandbox) = &self.sandbox else {
            return self.begin_with(&self.options, environment).await.map_err(LaunchFault::runner);
        };
        let address = self.address().map_err(LaunchFault::runner)?;
        let connection = Connection::to(&address).await.map_err(LaunchFault::runner)?;
        let confinement = sandboxed::confinement(sandbox, &self.options, &connection.engine)?;
        let options = sandboxed::options(sandbox, &self.options, environment, std::env::vars_os());
        let started = self.begin_with(&options, environment).await.map_err(LaunchFault::runner)?;
        Ok(started.confinement(Some(confinement)))
    }

    async fn begin_with(
        &self,
        options: &Options,
        environment: &LaunchEnvironment,
    ) -> Result<StartedProcess<ContainerProcess>, DockerError> {
        let connection = Connection::to(&self.address()?).await?;
        self.check_runtime(&connection.engine)?;
        let image = self.image.find(&connection, true).await?;
        orphans::sweep(&connection);
        // An unreadable directory is the plugin's to report.
        let dir_owner = os::owner(&environment.socket_dir).ok().flatten();
        let sides = Sides {
            engine: &connection.engine,
            host: os::own_ids(),
            dir: &environment.socket_dir,
            owner: dir_owner,
            image_user: &image.user,
        };
        let user = user::decide(self.user, &sides)?;
        let labels = orphans::labels(&self.image.name, &environment.socket_dir);
        // If it is given any limit, Podman sets these two to 2^20 unless they are given too, which fails where its own are lower.
        let further_limits = if connection.engine.is_podman() { os::own_limits() } else { Vec::new() };
        let facts = Facts {
            image: &image,
            user: &user,
            environment,
            dir_owner,
            has_selinux: connection.engine.has_selinux,
            labels: &labels,
            further_limits: &further_limits,
        };
        let body = spec::body(options, &facts)?;
        let name = self.container_name();
        let removal = create(&connection, &name, body).await?;
        self.check_used_runtime(&connection, &name).await?;
        let not_started = |failure| self.not_started(failure);
        let has_stdin = options.has_stdin;
        let attached = attach(&connection, &name, has_stdin).await.map_err(not_started)?;
        let start = connection.docker.start_container(&name, None);
        connection.request("start the container", start).await.map_err(not_started)?;
        let (plugin, host) = streams(has_stdin);
        let memory = options.memory;
        let process = ContainerProcess::kept_by(Keeper {
            connection,
            name,
            streams: plugin,
            attached,
            memory,
            removal,
        });
        let started = StartedProcess::new(process, host.stdout, host.stderr)
            .translate(Arc::new(MountedDir::new(&environment.socket_dir)))
            .dial(DialWithoutLinks);
        Ok(match host.stdin {
            Some(stdin) => started.stdin(stdin),
            None => started,
        })
    }

    /// A name for the next container: that of the image, and a number.
    fn container_name(&self) -> String {
        let image = self.image.name.rsplit('/').next().unwrap_or_default();
        let fits = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-') { c } else { '-' };
        let image: String = image.chars().map(fits).take(LONGEST_NAME).collect();
        format!("{}{image}-{:012x}", orphans::PREFIX, fastrand::u64(..1 << 48))
    }

    /// Fails if the engine has taken another runtime than the one that was requested.
    async fn check_used_runtime(&self, connection: &Connection, name: &str) -> Result<(), DockerError> {
        let Some(runtime) = &self.options.runtime else { return Ok(()) };
        if *runtime == connection.engine.default_runtime {
            return Ok(());
        }
        let request = Request::get("inspect the container", format!("/containers/{name}/json"));
        let created: Created = connection.json(request).await?;
        match created.host_config.runtime {
            Some(used) if used == *runtime => Ok(()),
            used => Err(DockerError::RuntimeIgnored {
                runtime: runtime.clone(),
                used: used.unwrap_or_else(|| connection.engine.default_runtime.clone()),
            }),
        }
    }

    /// The error of a container that was created and not started.
    fn not_started(&self, failure: Failure) -> DockerError {
        match failure {
            Failure::Status { message, .. } => {
                DockerError::NotStarted { image: self.image.name.clone(), message }
            }
            Failure::Error(error) => error,
        }
    }
}

impl Runner for Container {
    type Process = ContainerProcess;

    /// The name of the image.
    fn program(&self) -> PathBuf {
        self.image.name.clone().into()
    }

    async fn start(
        &self,
        environment: &LaunchEnvironment,
    ) -> Result<StartedProcess<ContainerProcess>, LaunchFault> {
        self.begin(environment).await
    }

    fn requirements(&self) -> Option<&Requirements> {
        self.requirements.as_ref()
    }

    #[cfg(feature = "sandbox")]
    fn sandbox(&self) -> Option<&Sandbox> {
        self.sandbox.as_ref()
    }

    async fn diagnose(&self, fault: &LaunchFault) -> Option<String> {
        let runtime = self.options.runtime.as_ref()?;
        matches!(fault, LaunchFault::Connect(_)).then(|| {
            format!(
                "the container ran with the runtime {runtime}: a runtime with a kernel of its own shows the plugin's sockets to the \
                 host only if it is allowed to, as `--host-uds=create` allows runsc"
            )
        })
    }
}

/// Creates a container. The creation goes on if the future is dropped, and the container is removed then.
async fn create(
    connection: &Arc<Connection>,
    name: &str,
    body: ContainerCreateBody,
) -> Result<Removal, DockerError> {
    let mut removal = Removal::of(connection, name);
    let (connection, name) = (Arc::clone(connection), name.to_owned());
    let creating = tokio::spawn(async move {
        let request = Request::post("create the container", format!("/containers/create?name={name}"), &body);
        match request.to::<IgnoredAny>(&connection.address).await {
            Ok(_) => {
                removal.is_settled();
                Ok(removal)
            }
            Err(failure) => {
                if let Failure::Status { .. } = failure {
                    removal.is_settled();
                }
                Err(DockerError::from(failure))
            }
        }
    });
    match creating.await {
        Ok(created) => created,
        Err(error) => Err(DockerError::Broken { action: "create the container", source: error.into() }),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Created {
    host_config: CreatedHostConfig,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct CreatedHostConfig {
    runtime: Option<String>,
}

/// The longest part of an image's name in the name of a container, in characters.
const LONGEST_NAME: usize = 40;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_output_has_no_values_of_variables_and_no_password() {
        let container =
            Container::new("kv").env("TOKEN", "hunter2").credentials(Credentials::new("ada", "hunter3"));
        let text = format!("{container:?}");
        assert!(text.contains("TOKEN") && text.contains("ada"), "{text}");
        assert!(!text.contains("hunter"), "{text}");
    }

    #[test]
    fn containers_have_names_that_engines_accept() {
        let container = Container::new("registry.example:5000/me/kv_plugin:1@sha256:00");
        let (first, second) = (container.container_name(), container.container_name());
        assert!(first.starts_with("rpcplugin-kv_plugin-1-sha256-00-"), "{first}");
        assert_ne!(first, second);
        let long = Container::new("x".repeat(300)).container_name();
        assert!(long.len() < 64, "{long}");
    }

    #[test]
    fn the_name_of_the_plugin_is_the_last_part_of_the_image() {
        let program = Container::new("localhost/kv-plugin:1").program();
        assert_eq!(program.file_name().and_then(|name| name.to_str()), Some("kv-plugin:1"));
    }
}
