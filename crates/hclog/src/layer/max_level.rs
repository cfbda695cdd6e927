//! A maximum level that can change while the program runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tracing::level_filters::LevelFilter;
use tracing::subscriber::Interest;
use tracing::{Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Filter};

/// A filter for a layer, and the handle that changes its level. Clones share the level.
///
/// tracing skips events and spans beyond the level where they are made, so that they cost little.
#[derive(Clone, Debug)]
pub struct MaxLevel(Arc<AtomicUsize>);

impl MaxLevel {
    /// Makes a filter for events up to and including `level`.
    #[must_use]
    pub fn new(level: LevelFilter) -> Self {
        Self(Arc::new(AtomicUsize::new(index_of(level))))
    }

    /// Changes the level of this handle, its clones, and the layers that they filter.
    pub fn set(&self, level: LevelFilter) {
        self.0.store(index_of(level), Ordering::Relaxed);
        tracing::callsite::rebuild_interest_cache();
    }

    /// Returns the current level.
    #[must_use]
    pub fn current(&self) -> LevelFilter {
        LEVELS[self.0.load(Ordering::Relaxed)]
    }
}

impl<S: Subscriber> Filter<S> for MaxLevel {
    fn enabled(&self, metadata: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        *metadata.level() <= self.current()
    }

    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        if *metadata.level() <= self.current() { Interest::always() } else { Interest::never() }
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.current())
    }
}

fn index_of(level: LevelFilter) -> usize {
    LEVELS.iter().filter(|known| **known < level).count()
}

const LEVELS: [LevelFilter; 6] = [
    LevelFilter::OFF,
    LevelFilter::ERROR,
    LevelFilter::WARN,
    LevelFilter::INFO,
    LevelFilter::DEBUG,
    LevelFilter::TRACE,
];
