//! A bounded queue to one reader, whose writers never wait for ever.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    task::{Context, Poll, Waker},
    time::Duration,
};

use tokio::{sync::Notify, time::timeout};

/// What a queue can hold.
pub(crate) trait Item: Clone + Send + 'static {
    /// How much of the queue's weight it takes.
    fn weight(&self) -> usize;

    /// Whether it is dropped before those that are not.
    fn is_expendable(&self) -> bool;
}

/// What a queue holds, how much of it, and what becomes of more.
#[derive(Debug)]
pub(crate) struct Bounds<T> {
    pub(crate) items: usize,
    pub(crate) weight: usize,
    pub(crate) when_full: OverflowPolicy,
    /// Other items do not get in.
    pub(crate) wanted: fn(&T) -> bool,
}

/// What happens to output that its reader does not take in time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OverflowPolicy {
    /// The oldest is dropped: the reader gets what is newest. The default.
    #[default]
    DropOldest,
    /// The newest is dropped: the reader gets what came first.
    DropNewest,
    /// The plugin waits, but for each piece no longer than this; then the newest is dropped.
    Wait(Duration),
}

/// All queues to which the same items are given.
#[derive(Debug)]
pub(crate) struct Topic<T: Item> {
    queues: Arc<Queues<T>>,
}

type Queues<T> = Mutex<Vec<Arc<Queue<T>>>>;

/// The reading end of a queue.
#[derive(Debug)]
pub(crate) struct Reader<T: Item> {
    queue: Arc<Queue<T>>,
    /// Where it is known, for as long as more can come.
    known: Weak<Queues<T>>,
}

#[derive(Debug)]
struct Queue<T> {
    state: Mutex<State<T>>,
    /// Told when the reader has taken something, or is gone.
    room: Notify,
}

#[derive(Debug)]
struct State<T> {
    items: VecDeque<T>,
    weight: usize,
    bounds: Bounds<T>,
    missed: u64,
    /// The reader, where it waits.
    waker: Option<Waker>,
    /// Nothing more will come.
    ended: bool,
    /// Nobody reads any more.
    reader_is_gone: bool,
}

impl<T: Item> Topic<T> {
    pub(crate) fn new() -> Self {
        Self { queues: Arc::default() }
    }

    /// A reader of everything that is given from now on.
    pub(crate) fn subscribe(&self, bounds: Bounds<T>) -> Reader<T> {
        let state = State {
            items: VecDeque::new(),
            weight: 0,
            bounds,
            missed: 0,
            waker: None,
            ended: false,
            reader_is_gone: false,
        };
        let queue = Arc::new(Queue { state: Mutex::new(state), room: Notify::new() });
        lock(&self.queues).push(Arc::clone(&queue));
        Reader { queue, known: Arc::downgrade(&self.queues) }
    }

    /// Whether anybody reads.
    pub(crate) fn has_subscribers(&self) -> bool {
        !lock(&self.queues).is_empty()
    }

    /// Gives an item to all readers without waiting for any.
    pub(crate) fn publish(&self, item: &T) {
        lock(&self.queues).retain(|queue| queue.publish(item));
    }

    /// Gives an item to all readers, and waits for those that were promised it.
    ///
    /// # Cancel safety
    /// Some readers may have got the item, and others not.
    pub(crate) async fn publish_and_wait(&self, item: &T) {
        let queues = lock(&self.queues).clone();
        for queue in queues {
            if let Some(limit) = queue.wait_for_reader(item) {
                let _ = timeout(limit, queue.has_room(item.weight())).await;
            }
            if !queue.publish(item) {
                lock(&self.queues).retain(|known| !Arc::ptr_eq(known, &queue));
            }
        }
    }
}

impl<T: Item> Drop for Topic<T> {
    fn drop(&mut self) {
        for queue in lock(&self.queues).drain(..) {
            let mut state = lock(&queue.state);
            state.ended = true;
            if let Some(waker) = state.waker.take() {
                waker.wake();
            }
        }
    }
}

impl<T: Item> Queue<T> {
    /// Takes the item in as the bounds say. False when nobody will read it.
    fn publish(&self, item: &T) -> bool {
        let mut state = lock(&self.state);
        if state.reader_is_gone {
            return false;
        }
        if !(state.bounds.wanted)(item) {
            return true;
        }
        state.push(item);
        if let Some(waker) = state.waker.take() {
            waker.wake();
        }
        true
    }

    /// How long its reader is waited for, if it wants the item at all.
    fn wait_for_reader(&self, item: &T) -> Option<Duration> {
        let bounds = &lock(&self.state).bounds;
        match bounds.when_full {
            OverflowPolicy::Wait(timeout) if (bounds.wanted)(item) => Some(timeout),
            _ => None,
        }
    }

    async fn has_room(&self, weight: usize) {
        loop {
            let room = self.room.notified();
            {
                let state = lock(&self.state);
                if state.reader_is_gone || state.fits(weight) {
                    return;
                }
            }
            room.await;
        }
    }
}

impl<T: Item> State<T> {
    /// An item heavier than the whole queue fits into an empty one: the first bound on its size is its source's.
    fn fits(&self, weight: usize) -> bool {
        self.items.is_empty()
            || (self.items.len() < self.bounds.items
                && self.weight.saturating_add(weight) <= self.bounds.weight)
    }

    fn push(&mut self, item: &T) {
        let weight = item.weight();
        while !self.fits(weight) {
            let first = self.items.iter().position(T::is_expendable);
            let evicted = match (first, self.bounds.when_full) {
                (Some(at), OverflowPolicy::DropOldest) => self.items.remove(at),
                (None, _) if !item.is_expendable() => self.items.pop_front(),
                _ => None,
            };
            self.missed += 1;
            match evicted {
                Some(evicted) => self.weight -= evicted.weight(),
                None => return,
            }
        }
        self.weight += weight;
        self.items.push_back(item.clone());
    }
}

impl<T: Item> Reader<T> {
    pub(crate) async fn next(&mut self) -> Option<T> {
        std::future::poll_fn(|cx| self.poll_next(cx)).await
    }

    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let mut state = lock(&self.queue.state);
        let Some(item) = state.items.pop_front() else {
            if state.ended {
                return Poll::Ready(None);
            }
            state.waker = Some(cx.waker().clone());
            return Poll::Pending;
        };
        state.weight -= item.weight();
        drop(state);
        self.queue.room.notify_waiters();
        Poll::Ready(Some(item))
    }

    pub(crate) fn missed(&self) -> u64 {
        lock(&self.queue.state).missed
    }

    /// Changes how much is held from now on.
    pub(crate) fn set_bounds(&self, bounds: Bounds<T>) {
        lock(&self.queue.state).bounds = bounds;
    }
}

impl<T: Item> Drop for Reader<T> {
    fn drop(&mut self) {
        let mut state = lock(&self.queue.state);
        state.reader_is_gone = true;
        state.items = VecDeque::new();
        drop(state);
        self.queue.room.notify_waiters();
        if let Some(known) = self.known.upgrade() {
            lock(&known).retain(|queue| !Arc::ptr_eq(queue, &self.queue));
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Clone, Copy, PartialEq)]
    struct Number(u32);

    impl Item for Number {
        fn weight(&self) -> usize {
            1
        }

        /// Odd numbers matter.
        fn is_expendable(&self) -> bool {
            self.0.is_multiple_of(2)
        }
    }

    fn bounds<T>(items: usize, when_full: OverflowPolicy) -> Bounds<T> {
        Bounds { items, weight: 100, when_full, wanted: |_| true }
    }

    async fn rest(topic: Topic<Number>, mut reader: Reader<Number>) -> (Vec<u32>, u64) {
        drop(topic);
        let mut numbers = Vec::new();
        while let Some(Number(number)) = reader.next().await {
            numbers.push(number);
        }
        (numbers, reader.missed())
    }

    #[tokio::test]
    async fn drops_what_can_be_spared_and_counts_it() {
        for (when_full, expected) in [
            (OverflowPolicy::DropOldest, (vec![1, 6, 8], 2)),
            (OverflowPolicy::DropNewest, (vec![1, 2, 4], 2)),
        ] {
            let topic = Topic::new();
            let reader = topic.subscribe(bounds(3, when_full));
            for number in [1, 2, 4, 6, 8] {
                topic.publish(&Number(number));
            }
            assert_eq!(rest(topic, reader).await, expected);
        }
    }

    #[tokio::test]
    async fn drops_what_matters_only_for_what_matters_too() {
        let topic = Topic::new();
        let reader = topic.subscribe(bounds(2, OverflowPolicy::DropOldest));
        for number in [1, 3, 4, 5] {
            topic.publish(&Number(number));
        }
        assert_eq!(rest(topic, reader).await, (vec![3, 5], 2));
    }

    #[tokio::test]
    async fn heavy_items_push_out_several() {
        #[derive(Clone)]
        struct Bytes(usize);
        impl Item for Bytes {
            fn weight(&self) -> usize {
                self.0
            }
            fn is_expendable(&self) -> bool {
                true
            }
        }
        let topic = Topic::new();
        let mut reader = topic.subscribe(bounds(10, OverflowPolicy::DropOldest));
        for weight in [30, 30, 30, 90, 5] {
            topic.publish(&Bytes(weight));
        }
        assert_eq!(reader.next().await.map(|bytes| bytes.0), Some(90));
        topic.publish(&Bytes(1000));
        assert_eq!(reader.next().await.map(|bytes| bytes.0), Some(1000), "what is too heavy comes alone");
        assert_eq!(reader.missed(), 4);
    }

    #[tokio::test(start_paused = true)]
    async fn waits_for_a_slow_reader_but_not_for_ever() {
        let topic = Topic::new();
        let mut reader = topic.subscribe(bounds(1, OverflowPolicy::Wait(Duration::from_secs(1))));
        topic.publish_and_wait(&Number(2)).await;
        tokio::join!(topic.publish_and_wait(&Number(4)), async {
            assert_eq!(reader.next().await, Some(Number(2)));
        });
        assert_eq!(reader.missed(), 0, "room came in time");
        let begun = tokio::time::Instant::now();
        topic.publish_and_wait(&Number(6)).await;
        assert_eq!(begun.elapsed(), Duration::from_secs(1));
        assert_eq!(rest(topic, reader).await, (vec![4], 1));
    }

    #[tokio::test]
    async fn takes_only_what_is_wanted() {
        let topic = Topic::new();
        let even = Bounds {
            wanted: |number: &Number| number.0.is_multiple_of(2),
            ..bounds(1, OverflowPolicy::DropOldest)
        };
        let reader = topic.subscribe(even);
        for number in [1, 2, 3] {
            topic.publish(&Number(number));
        }
        assert_eq!(rest(topic, reader).await, (vec![2], 0));
    }

    #[tokio::test]
    async fn forgets_readers_that_are_gone_whether_or_not_anything_is_given() {
        let topic = Topic::<Number>::new();
        let stays = topic.subscribe(bounds(1, OverflowPolicy::DropOldest));
        for _ in 0..3 {
            drop(topic.subscribe(bounds(1, OverflowPolicy::DropOldest)));
        }
        assert_eq!(lock(&topic.queues).len(), 1);
        drop(stays);
        assert!(!topic.has_subscribers());
    }
}
