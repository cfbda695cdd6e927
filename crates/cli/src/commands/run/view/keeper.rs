//! Starts the plugin, waits for its exit, and starts it again when it is asked to.

use std::{pin::pin, time::Instant};

use rpcplugin::{Exit as PluginExit, Host, Plugin, handshake::ReattachConfig, hclog::Level};
use tokio::sync::mpsc;

use super::{
    model::LEVEL_VARIABLE,
    passage::Passage,
    state::{Access, Running, State},
};
use crate::{
    commands::run::{
        args::RunArgs,
        handover::PendingHandover,
        reattach::{shown_config, terraform_variable},
    },
    error::{CommandError, Interrupted},
    exit::Exit,
    ui::{cause_texts, shell_word::shell_quoted},
};

/// What the view asks for. When the view has closed the channel, the plugin is shut down and the keeper ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// Starts the plugin, after a shutdown if it runs, and asks it for a level.
    Restart(Option<Level>),
    /// Shuts the plugin down. A second time kills it.
    Stop,
}

/// How the last plugin ended.
#[derive(Debug)]
pub(super) struct End {
    pub(super) exit: Exit,
    pub(super) cause: String,
    pub(super) is_clean: bool,
}

/// Keeps one plugin at a time.
#[derive(Debug)]
pub(super) struct Keeper<'a> {
    args: &'a RunArgs,
    host: Host,
    passage: Option<Passage>,
    orders: mpsc::Receiver<Order>,
    states: mpsc::UnboundedSender<State>,
}

/// What comes after an order.
enum Next {
    Start(Option<Level>),
    Stop,
    Quit,
}

impl<'a> Keeper<'a> {
    pub(super) fn new(
        args: &'a RunArgs,
        host: Host,
        passage: Option<Passage>,
        orders: mpsc::Receiver<Order>,
        states: mpsc::UnboundedSender<State>,
    ) -> Self {
        Self { args, host, passage, orders, states }
    }

    /// Keeps the plugin until the view closes the channel of orders. Returns how the last plugin ended.
    ///
    /// # Errors
    /// The first launch failed, or was interrupted.
    ///
    /// # Cancel safety
    /// Dropping the future kills the plugin.
    pub(super) async fn keep(mut self) -> Result<End, CommandError> {
        let mut level = None;
        let mut is_first = true;
        loop {
            let (end, next) = match self.one(level).await {
                Ok(ended) => ended,
                Err(error) if is_first => return Err(error),
                Err(CommandError { exit, report }) => {
                    let cause = cause_texts(report.as_ref())
                        .into_iter()
                        .fold(report.to_string(), |all, cause| all + ": " + &cause);
                    (End { exit, cause, is_clean: false }, Next::Stop)
                }
            };
            is_first = false;
            let next = match next {
                Next::Stop => {
                    self.show(State::Stopped { cause: end.cause.clone(), is_clean: end.is_clean });
                    self.after_stop().await
                }
                next => next,
            };
            match next {
                Next::Start(wanted) => level = wanted,
                Next::Stop | Next::Quit => return Ok(end),
            }
        }
    }

    /// Waits for an order to start.
    async fn after_stop(&mut self) -> Next {
        loop {
            match self.orders.recv().await {
                Some(Order::Restart(level)) => return Next::Start(level),
                Some(Order::Stop) => {}
                None => return Next::Quit,
            }
        }
    }

    /// Launches the plugin, and waits for its end or an order.
    async fn one(&mut self, level: Option<Level>) -> Result<(End, Next), CommandError> {
        self.show(State::Starting);
        let mut launch = self.args.launch.clone();
        launch.env.extend(level.map(|level| (LEVEL_VARIABLE.to_owned(), level.to_string())));
        let handover = self.args.handover.as_deref().map(PendingHandover::at).transpose()?;
        let plugin = {
            let mut launching = pin!(launch.launch_by(&self.host));
            loop {
                tokio::select! {
                    plugin = &mut launching => break plugin?,
                    order = self.orders.recv() => match order {
                        Some(Order::Restart(_)) => {}
                        Some(Order::Stop) => {
                            let cause = "the launch was given up".to_owned();
                            return Ok((End { exit: Exit::Interrupted, cause, is_clean: true }, Next::Stop));
                        }
                        None => return Err(Interrupted.into()),
                    }
                }
            }
        };
        let running = self.running(&plugin);
        let _file = match (handover, &running.access, &self.passage) {
            (None, ..) => None,
            // With the file too, calls come this way.
            (Some(place), Access::Counted(_), Some(passage)) => {
                Some(place.write_for(&plugin, &passage.config(&shown_config(&plugin)))?)
            }
            (Some(place), ..) => Some(place.write(&plugin)?),
        };
        if let Some(passage) = &self.passage {
            passage.lead_to((!running.is_secured).then(|| plugin.endpoint().clone()));
        }
        self.show(State::Running(running));
        let asked = tokio::select! {
            reason = plugin.wait() => Err(reason),
            order = self.orders.recv() => Ok(order),
        };
        let ended = match asked {
            Err(reason) => {
                let how = if reason.is_success() {
                    "exited without a request of this program"
                } else {
                    "exited by itself"
                };
                let cause = format!("the plugin {how}: {reason}");
                (End { exit: Exit::PluginExited, cause, is_clean: false }, Next::Stop)
            }
            Ok(order) => {
                let next = match order {
                    Some(Order::Restart(level)) => Next::Start(level),
                    Some(Order::Stop) => Next::Stop,
                    None => Next::Quit,
                };
                self.show(State::Stopping { again: matches!(next, Next::Start(_)) });
                self.shut_down(plugin, next).await
            }
        };
        if let Some(passage) = &self.passage {
            passage.lead_to(None);
        }
        Ok(ended)
    }

    /// Shuts the plugin down. An order to stop kills it.
    async fn shut_down(&mut self, plugin: Plugin, mut next: Next) -> (End, Next) {
        let mut shutdown = pin!(plugin.shut_down());
        let exit = loop {
            // The view that has quit kills by dropping this future.
            let is_quitting = matches!(next, Next::Quit);
            tokio::select! {
                exit = &mut shutdown => break exit,
                order = self.orders.recv(), if !is_quitting => match order {
                    Some(Order::Restart(level)) => next = Next::Start(level),
                    Some(Order::Stop) => {
                        let cause = "the plugin was killed".to_owned();
                        return (End { exit: Exit::Interrupted, cause, is_clean: false }, Next::Stop);
                    }
                    None => next = Next::Quit,
                }
            }
        };
        let is_clean = matches!(exit, PluginExit::Clean | PluginExit::Ended | PluginExit::Detached);
        let end = End {
            exit: if is_clean { Exit::Ok } else { Exit::Failed },
            cause: format!("the plugin {exit}"),
            is_clean,
        };
        (end, next)
    }

    fn running(&self, plugin: &Plugin) -> Running {
        let is_secured = plugin.security().is_mutual();
        Running {
            pid: plugin.pid(),
            version: plugin.version().to_string(),
            is_secured,
            since: Instant::now(),
            endpoint: plugin.endpoint().to_string(),
            access: self.access(&shown_config(plugin), is_secured),
        }
    }

    /// Returns how other hosts reach the plugin.
    fn access(&self, config: &ReattachConfig, is_secured: bool) -> Access {
        let lines = |config: &ReattachConfig| {
            // The name of a file is shorter.
            let target = match &self.args.handover {
                Some(file) => file.to_string_lossy().into_owned(),
                None => config.to_string(),
            };
            let mut lines = vec![format!("rpcplugin attach {}", shell_quoted(&target))];
            lines.extend(terraform_variable(self.args, config).filter(|_| !is_secured));
            lines
        };
        match &self.passage {
            _ if is_secured && self.args.handover.is_none() => Access::Closed,
            Some(passage) if !is_secured => Access::Counted(lines(&passage.config(config))),
            _ => Access::Direct(lines(config)),
        }
    }

    /// The view may be gone.
    fn show(&self, state: State) {
        let _ = self.states.send(state);
    }
}
