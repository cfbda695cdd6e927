//! One runner over all kinds.

use std::{path::PathBuf, time::Duration};

#[cfg(feature = "docker")]
use rpcplugin::docker::{Container, ContainerProcess};
use rpcplugin::{
    Command,
    host::{
        ChildProcess, ExitReason, LaunchEnvironment, LaunchFault, Pid, PluginProcess, Requirements, Runner,
        StartedProcess,
    },
    sandbox::Sandbox,
};
#[cfg(feature = "kube")]
use rpcplugin_kube::{Pod, PodProcess};

/// A runner of any kind.
#[derive(Debug, Clone)]
pub(crate) enum AnyRunner {
    Child(Box<Command>),
    #[cfg(feature = "docker")]
    Docker(Box<Container>),
    #[cfg(feature = "kube")]
    Kube(Box<Pod>),
}

/// A process that an [`AnyRunner`] has started.
#[derive(Debug)]
pub(crate) enum AnyProcess {
    Child(Box<ChildProcess>),
    #[cfg(feature = "docker")]
    Docker(Box<ContainerProcess>),
    #[cfg(feature = "kube")]
    Kube(Box<PodProcess>),
}

/// The same for each kind of runner or process.
macro_rules! each {
    ($any:expr, $one:ident => $result:expr) => {
        match $any {
            Self::Child($one) => $result,
            #[cfg(feature = "docker")]
            Self::Docker($one) => $result,
            #[cfg(feature = "kube")]
            Self::Kube($one) => $result,
        }
    };
}

impl AnyRunner {
    /// Whether the plugin is a child process of this program.
    pub(crate) fn is_child(&self) -> bool {
        match self {
            Self::Child(_) => true,
            #[cfg(any(feature = "docker", feature = "kube"))]
            _ => false,
        }
    }
}

impl Runner for AnyRunner {
    type Process = AnyProcess;

    fn program(&self) -> PathBuf {
        each!(self, runner => Runner::program(&**runner))
    }

    async fn start(
        &self,
        environment: &LaunchEnvironment,
    ) -> Result<StartedProcess<AnyProcess>, LaunchFault> {
        Ok(match self {
            Self::Child(command) => {
                command.start(environment).await?.map(|process| AnyProcess::Child(Box::new(process)))
            }
            #[cfg(feature = "docker")]
            Self::Docker(container) => {
                container.start(environment).await?.map(|process| AnyProcess::Docker(Box::new(process)))
            }
            #[cfg(feature = "kube")]
            Self::Kube(pod) => {
                pod.start(environment).await?.map(|process| AnyProcess::Kube(Box::new(process)))
            }
        })
    }

    fn requirements(&self) -> Option<&Requirements> {
        each!(self, runner => Runner::requirements(&**runner))
    }

    fn sandbox(&self) -> Option<&Sandbox> {
        match self {
            Self::Child(command) => command.sandboxed(),
            #[cfg(feature = "docker")]
            Self::Docker(container) => Runner::sandbox(&**container),
            #[cfg(feature = "kube")]
            Self::Kube(_) => None,
        }
    }

    async fn diagnose(&self, fault: &LaunchFault) -> Option<String> {
        each!(self, runner => runner.diagnose(fault).await)
    }
}

impl AnyProcess {
    /// The longest time from an exit until the runner reports it. The kubelet looks at its containers once a second, and a busy one later.
    pub(crate) fn report_delay(&self) -> Duration {
        match self {
            #[cfg(feature = "kube")]
            Self::Kube(_) => Duration::from_secs(10),
            _ => Duration::ZERO,
        }
    }
}

impl PluginProcess for AnyProcess {
    fn id(&self) -> String {
        each!(self, process => process.id())
    }

    fn pid(&self) -> Option<Pid> {
        each!(self, process => process.pid())
    }

    async fn ready(&mut self) {
        each!(self, process => process.ready().await);
    }

    async fn wait(&mut self) -> ExitReason {
        each!(self, process => process.wait().await)
    }

    async fn terminate(&mut self) {
        each!(self, process => process.terminate().await);
    }

    async fn kill(&mut self) {
        each!(self, process => process.kill().await);
    }

    async fn leave(self) {
        each!(self, process => (*process).leave().await);
    }
}
