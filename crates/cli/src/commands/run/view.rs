//! `rpcplugin run --ui`: the plugin on a terminal that one can operate.
//!
//! Events and keys go into a [model](model), [screen](screen) makes rows of it, and a [writer](writer) writes them to the
//! [terminal](terminal). The [keeper](keeper) has the plugin.

mod count;
mod feed;
mod journal;
mod keeper;
mod keys;
mod model;
mod pages;
mod passage;
mod screen;
mod state;
mod terminal;
mod writer;

use std::{
    io::{self, IsTerminal as _},
    pin::pin,
    sync::Arc,
    time::{Duration, Instant},
};

use miette::IntoDiagnostic as _;
use tokio::{
    sync::mpsc,
    time::{Interval, MissedTickBehavior, interval},
};

use self::{
    count::Counters,
    feed::Feed,
    keeper::{End, Keeper, Order},
    keys::{Ask, press},
    model::Model,
    passage::Passage,
    screen::{Size, draw},
    state::State,
    terminal::Terminal,
};
use super::{args::RunArgs, printed::print_end};
use crate::{
    error::CommandError,
    exit::Exit,
    os::{Interruptions, JobControl, JobControls, Key, ProcessUsage, ask_to_suspend, suspend},
    ui::Out,
};

/// Whether there is a terminal for a view.
pub(super) fn is_possible(out: &Out) -> bool {
    #[expect(clippy::disallowed_methods, reason = "the terminal's own variable")]
    let term = std::env::var_os("TERM");
    let is_dumb = term.is_some_and(|term| term == "dumb");
    !out.is_json() && !is_dumb && io::stdin().is_terminal() && io::stdout().is_terminal()
}

/// Runs the plugin until a person quits.
pub(super) async fn run(args: &RunArgs, out: &mut Out) -> Result<Exit, CommandError> {
    let interruptions = Interruptions::new().into_diagnostic()?;
    let jobs = JobControls::new().into_diagnostic()?;
    let host = args.launch.host();
    let passage = match args.launch.no_mtls && !args.launch.mux {
        true => Passage::open().await.ok(),
        false => None,
    };
    let (orders, to_keeper) = mpsc::channel(8);
    let (states_to, states) = mpsc::unbounded_channel();
    let mut view = View {
        model: Model::new(args.launch.name(), args.level.into()),
        feed: Feed::of(&host, args.launch.full),
        counters: passage.as_ref().map(Passage::counters),
        orders: Some(orders),
        states,
        interruptions,
        jobs,
        measured: None,
        drawn: None,
        size: None,
    };
    let keeper = Keeper::new(args, host, passage, to_keeper, states_to);
    let (terminal, keys) = Terminal::take(out.has_styles()).into_diagnostic()?;
    let ended = view.follow(Box::pin(keeper.keep()), &terminal, keys).await;
    drop(terminal);
    if Terminal::is_stuck() {
        return Ok(ended.map_or_else(|error| error.exit, |end| end.exit));
    }
    let End { exit, cause, is_clean } = ended?;
    print_end(&cause, is_clean, out);
    Ok(exit)
}

/// What the view listens to, and what it knows.
struct View {
    model: Model,
    feed: Feed,
    counters: Option<Arc<Counters>>,
    /// `None` when the view is quitting.
    orders: Option<mpsc::Sender<Order>>,
    states: mpsc::UnboundedReceiver<State>,
    interruptions: Interruptions,
    jobs: JobControls,
    /// When the process and its calls were last measured.
    measured: Option<Instant>,
    /// When the screen was last drawn.
    drawn: Option<Instant>,
    /// The size of the terminal, at the last drawing.
    size: Option<Size>,
}

/// What the loop does next.
enum Step {
    GoOn,
    /// Draws every row again.
    Redraw,
    /// Does not wait for the plugin any more, which kills it.
    Kill,
}

impl View {
    /// Shows the plugin until the keeper has ended.
    async fn follow(
        &mut self,
        keeper: impl Future<Output = Result<End, CommandError>>,
        terminal: &Terminal,
        mut keys: mpsc::Receiver<Key>,
    ) -> Result<End, CommandError> {
        let mut keeper = pin!(keeper);
        let mut frames = frames();
        let mut is_new = true;
        loop {
            let step = tokio::select! {
                biased;
                () = self.interruptions.any() => self.quit(),
                job = self.jobs.next() => suspended(job),
                Some(key) = keys.recv() => self.take(key),
                ended = &mut keeper => return ended,
                Some(state) = self.states.recv() => {
                    self.enter(state).await;
                    Step::GoOn
                }
                _ = frames.tick() => match Terminal::is_lost() {
                    true if self.orders.is_some() => self.quit(),
                    true => Step::GoOn,
                    false => {
                        is_new &= !self.draw(terminal, is_new);
                        Step::GoOn
                    }
                },
                () = self.feed.next(&mut self.model) => Step::GoOn,
            };
            match step {
                Step::GoOn => {}
                Step::Redraw => is_new = true,
                Step::Kill => {
                    return Ok(End {
                        exit: Exit::Interrupted,
                        cause: "the plugin was killed".to_owned(),
                        is_clean: false,
                    });
                }
            }
        }
    }

    /// Takes a new state. What a plugin has left without a line break is not continued by the next plugin.
    async fn enter(&mut self, state: State) {
        if matches!(state, State::Starting | State::Stopped { .. }) {
            self.feed.end_of_plugin(&mut self.model).await;
        }
        self.model.enter(state);
    }

    /// Draws if something has changed. Returns whether the rows are on their way to the terminal.
    fn draw(&mut self, terminal: &Terminal, is_new: bool) -> bool {
        let now = Instant::now();
        let is_due = |last: Option<Instant>| last.is_none_or(|last| now.duration_since(last) >= SECOND);
        if is_due(self.measured) {
            self.measured = Some(now);
            self.measure(now);
        }
        self.model.missed = self.feed.missed();
        let size = Terminal::size();
        let is_new = is_new || self.size.replace(size) != Some(size);
        // The uptime changes each second.
        if !self.model.is_stale && !is_new && !is_due(self.drawn) {
            return false;
        }
        let frame = draw(&self.model, size, now);
        self.model.page = frame.page;
        let is_sent = terminal.write(&frame.rows, is_new);
        if is_sent {
            self.model.is_stale = false;
            self.drawn = Some(now);
        } else if is_new {
            // All rows are due at the next time too.
            self.size = None;
        }
        is_sent
    }

    fn measure(&mut self, now: Instant) {
        if let State::Running(running) = &self.model.state {
            let usage = running.pid.and_then(ProcessUsage::of);
            self.model.load.measure(now, usage);
            self.model.is_stale = true;
        }
        if let Some(counters) = &self.counters {
            self.model.count(now, counters.read());
        }
    }

    fn take(&mut self, key: Key) -> Step {
        match press(&mut self.model, key) {
            None => Step::GoOn,
            Some(Ask::Redraw) => Step::Redraw,
            Some(Ask::Quit) => self.quit(),
            Some(Ask::Restart) => self.order(Order::Restart(self.model.plugin_level)),
            Some(Ask::Stop) => self.order(Order::Stop),
            Some(Ask::Suspend) => {
                ask_to_suspend();
                Step::GoOn
            }
        }
    }

    /// Passes an order on.
    fn order(&mut self, order: Order) -> Step {
        // The keeper reads orders at once. A full channel has many already.
        if let Some(orders) = &self.orders {
            let _ = orders.try_send(order);
        }
        Step::GoOn
    }

    /// Has the plugin shut down. A second time kills it.
    fn quit(&mut self) -> Step {
        match self.orders.take() {
            Some(_) => {
                "shutting the plugin down; press Ctrl-C again to kill it".clone_into(&mut self.model.notice);
                self.model.is_stale = true;
                Step::GoOn
            }
            None => Step::Kill,
        }
    }
}

/// Suspends the program, and takes the terminal again when it goes on.
fn suspended(job: JobControl) -> Step {
    if job == JobControl::Suspend {
        Terminal::pause();
        suspend();
    }
    Terminal::resume();
    Step::Redraw
}

/// The moments at which the screen may be drawn.
fn frames() -> Interval {
    let mut frames = interval(FRAME);
    frames.set_missed_tick_behavior(MissedTickBehavior::Delay);
    frames
}

/// The shortest time between two drawings.
const FRAME: Duration = Duration::from_millis(50);

const SECOND: Duration = Duration::from_secs(1);
