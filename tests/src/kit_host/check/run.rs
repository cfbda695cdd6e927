//! Running checks: each within a deadline, on a plugin that they share or on one of its own.

use std::{future::Future, pin::Pin, time::Duration};

use tokio::time::timeout;

use crate::kit_host::{
    check::{
        subject::{Peer, Subject},
        verdict::{Miss, Verdict, expect, fail, skip},
    },
    launching::Launching,
};

/// A named thing that host and plugin have to do.
#[derive(Clone, Copy)]
pub(crate) struct Check {
    pub(crate) name: &'static str,
    pub(crate) work: Work,
}

/// A variable that each plugin is given, with nothing in it.
pub(crate) const EMPTY_VARIABLE: &str = "KIT_HOST_SETS_THIS_TO_NOTHING";

/// What a check works on.
#[derive(Clone, Copy)]
pub(crate) enum Work {
    /// A plugin that other checks use too.
    Shared(for<'a> fn(&'a Subject) -> Working<'a>),
    /// Plugins that it launches itself.
    Own(for<'a> fn(&'a Run) -> Working<'a>),
    /// No plugin at all.
    Alone(fn() -> Working<'static>),
}

pub(crate) type Working<'a> = Pin<Box<dyn Future<Output = Verdict> + Send + 'a>>;

/// A check by its name and its function, which is asynchronous and works on a `&Subject`.
macro_rules! shared {
    ($name:literal, $check:path) => {
        crate::kit_host::check::run::Check {
            name: $name,
            work: crate::kit_host::check::run::Work::Shared(|subject| Box::pin($check(subject))),
        }
    };
}

/// A check by its name and its function, which is asynchronous and works on a `&Run`.
macro_rules! own {
    ($name:literal, $check:path) => {
        crate::kit_host::check::run::Check {
            name: $name,
            work: crate::kit_host::check::run::Work::Own(|run| Box::pin($check(run))),
        }
    };
}

/// A check by its name and its function, which is asynchronous and needs nothing.
macro_rules! alone {
    ($name:literal, $check:path) => {
        crate::kit_host::check::run::Check {
            name: $name,
            work: crate::kit_host::check::run::Work::Alone(|| Box::pin($check())),
        }
    };
}

pub(crate) use {alone, own, shared};

/// What the checks of one run share.
pub(crate) struct Run {
    launching: Launching,
    shared: Option<Subject>,
    /// The plugin does not start at all: every check would wait for the same.
    dead: bool,
    /// Why it does not start, where that is no fault of it.
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
                    // For what the plugin says of itself.
                    self.shared().await?;
                    work(self).await
                }
                Work::Alone(work) => work().await,
            }
        };
        match timeout(DEADLINE, working).await {
            Ok(verdict) => verdict,
            Err(_) => {
                // Whatever hangs there shall not hold up the others.
                self.shared = None;
                fail(format!("not done after {} s", DEADLINE.as_secs()))
            }
        }
    }

    /// Stops what is left.
    pub(crate) async fn end(self) {
        if let Some(subject) = self.shared {
            subject.plugin.shut_down().await;
        }
    }

    /// How the plugin is launched.
    pub(crate) fn launching(&self) -> Launching {
        self.launching.clone()
    }

    /// A plugin of the check's own.
    pub(crate) async fn launch(&self) -> Verdict<Subject> {
        Subject::launch(&self.launching).await
    }

    /// What the plugin says of itself.
    pub(crate) fn peer(&self) -> &Peer {
        static UNKNOWN: Peer = Peer::unknown();
        self.shared.as_ref().map_or(&UNKNOWN, |subject| &subject.peer)
    }

    /// The plugin that checks share; launched for the first, and again after one that ended it.
    async fn shared(&mut self) -> Verdict<&Subject> {
        if let Some(why) = &self.unfit {
            return skip(why);
        }
        expect(!self.dead, "the plugin does not start, as told above")?;
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

/// More than the slowest check needs on a busy machine.
const DEADLINE: Duration = Duration::from_secs(60);
