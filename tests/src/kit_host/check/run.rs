//! Running checks: each with a timeout, on a shared plugin or on a plugin of its own.

use std::{future::Future, pin::Pin, time::Duration};

use tokio::time::timeout;

use crate::kit_host::{
    check::{
        subject::{Peer, Subject},
        verdict::{Miss, Verdict, expect, fail, skip},
    },
    launching::Launching,
};

/// A named check of host and plugin.
#[derive(Clone, Copy)]
pub(crate) struct Check {
    pub(crate) name: &'static str,
    pub(crate) work: Work,
}

/// A variable that is empty in the environment of each plugin.
pub(crate) const EMPTY_VARIABLE: &str = "KIT_HOST_SETS_THIS_TO_NOTHING";

/// The plugins that a check uses.
#[derive(Clone, Copy)]
pub(crate) enum Work {
    /// A plugin that checks share.
    Shared(for<'a> fn(&'a Subject) -> Working<'a>),
    /// Plugins that the check launches.
    Own(for<'a> fn(&'a Run) -> Working<'a>),
    /// No plugin.
    Alone(fn() -> Working<'static>),
}

pub(crate) type Working<'a> = Pin<Box<dyn Future<Output = Verdict> + Send + 'a>>;

/// A check with its name and its asynchronous function of a `&Subject`.
macro_rules! shared {
    ($name:literal, $check:path) => {
        crate::kit_host::check::run::Check {
            name: $name,
            work: crate::kit_host::check::run::Work::Shared(|subject| Box::pin($check(subject))),
        }
    };
}

/// A check with its name and its asynchronous function of a `&Run`.
macro_rules! own {
    ($name:literal, $check:path) => {
        crate::kit_host::check::run::Check {
            name: $name,
            work: crate::kit_host::check::run::Work::Own(|run| Box::pin($check(run))),
        }
    };
}

/// A check with its name and its asynchronous function without arguments.
macro_rules! alone {
    ($name:literal, $check:path) => {
        crate::kit_host::check::run::Check {
            name: $name,
            work: crate::kit_host::check::run::Work::Alone(|| Box::pin($check())),
        }
    };
}

pub(crate) use {alone, own, shared};

/// The shared state of the checks of one run.
pub(crate) struct Run {
    launching: Launching,
    shared: Option<Subject>,
    /// The plugin does not start, so that further checks do not wait for it.
    dead: bool,
    /// The reason to skip all checks, if the plugin cannot start without being at fault.
    unfit: Option<String>,
}

impl Run {
    pub(crate) fn new(launching: Launching) -> Self {
        Self { launching, shared: None, dead: false, unfit: None }
    }

    /// Runs one check.
    pub(crate) async fn perform(&mut self, check: Check) -> Verdict {
        let working = async {
            match check.work {
                Work::Shared(work) => work(self.shared().await?).await,
                Work::Own(work) => {
                    // The check needs the implementation of the plugin.
                    self.shared().await?;
                    work(self).await
                }
                Work::Alone(work) => work().await,
            }
        };
        match timeout(DEADLINE, working).await {
            Ok(verdict) => verdict,
            Err(_) => {
                // A plugin that hangs must not delay the other checks.
                self.shared = None;
                fail(format!("not done after {} s", DEADLINE.as_secs()))
            }
        }
    }

    /// Shuts down the shared plugin.
    pub(crate) async fn end(self) {
        if let Some(subject) = self.shared {
            subject.plugin.shut_down().await;
        }
    }

    /// The launch of the plugin.
    pub(crate) fn launching(&self) -> Launching {
        self.launching.clone()
    }

    /// A new plugin for one check.
    pub(crate) async fn launch(&self) -> Verdict<Subject> {
        Subject::launch(&self.launching).await
    }

    /// The implementation that the plugin reports.
    pub(crate) fn peer(&self) -> &Peer {
        static UNKNOWN: Peer = Peer::unknown();
        self.shared.as_ref().map_or(&UNKNOWN, |subject| &subject.peer)
    }

    /// The shared plugin. It is launched for the first check, and again after a check that ended it.
    async fn shared(&mut self) -> Verdict<&Subject> {
        if let Some(why) = &self.unfit {
            return skip(why);
        }
        expect(!self.dead, "the plugin does not start, see above")?;
        if self.shared.as_ref().is_none_or(|subject| subject.plugin.ended().is_some()) {
            match Subject::launch(&self.launching).await {
                Ok(subject) => self.shared = Some(subject),
                Err(miss) => {
                    match &miss {
                        Miss::Failed(_) => self.dead = true,
                        Miss::Skipped(why) => self.unfit = Some(why.clone()),
                    }
                    return Err(miss);
                }
            }
        }
        self.shared.as_ref().map_or_else(|| fail("no plugin"), Ok)
    }
}

/// The timeout of a check: more than the slowest needs on a busy machine.
const DEADLINE: Duration = Duration::from_secs(60);
