//! The plugins that live for the whole run, one in each language: what they use has to stay the same.

use std::{sync::Arc, time::Instant};

use fastrand::Rng;
use rpcplugin::{Exit, Plugin};
use tokio::time::timeout;

use crate::soak::{
    brokered::close_open_subs,
    caller::Caller,
    launching::{self, group_is_gone},
    life::take,
    plan::{Language, LifeId, Mode, Step, rng},
    world::{DEADLINE, World},
};

/// A plugin that lives for the whole run.
#[derive(Debug)]
pub(crate) struct Resident {
    pub(crate) language: Language,
    pub(crate) pid: u32,
    plugin: Plugin,
    caller: Caller,
    rng: Rng,
}

impl Resident {
    /// Launches the plugin in this language.
    pub(crate) async fn launch(world: &Arc<World>, id: &LifeId, language: Language) -> Option<Self> {
        let who = format!("resident {language:?}");
        // Brokered connections with sockets in Rust, and multiplexed ones in Go.
        let mode = Mode { auto_mtls: true, mux: language == Language::Go, ..Mode::default() };
        let plugin = launching::launch(world, &who, &launching::host(world, mode), language).await?;
        let pid = plugin.pid()?.get();
        let caller = Caller::new(world, plugin.channel(), &who);
        Some(Self { language, pid, plugin, caller, rng: rng(world.seed, id) })
    }

    /// Calls the plugin until then.
    pub(crate) async fn work(mut self, until: Instant) -> Self {
        while Instant::now() < until {
            let step = Step::draw(&mut self.rng, self.language);
            take(&self.caller, &self.plugin, self.pid, step).await;
        }
        self.caller.audit(&mut self.rng).await;
        self
    }

    /// Prepares for a rest, while no other slot works: ends what faults have left open. Returns how many brokered services
    /// stay all the same.
    pub(crate) async fn tidy_up(&self) -> u64 {
        close_open_subs(&self.caller, self.plugin.broker()).await;
        self.caller.subs_that_stay()
    }

    /// Shuts the plugin down.
    pub(crate) async fn end(self) {
        let exit = timeout(DEADLINE, self.plugin.shut_down()).await;
        if !matches!(exit, Ok(Exit::Clean)) {
            self.caller.broken(format_args!("the plugin ended in another way: {exit:?}"));
        }
        group_is_gone(&self.caller.world, &self.caller.who, self.pid).await;
    }
}
