//! Bounded queues, one for each reader of a topic. Writers wait for a bounded time at most.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    task::{Context, Poll, Waker},
    time::Duration,
};

use tokio::{sync::Notify, time::timeout};

/// An item of a queue.
pub(crate) trait Item: Clone + Send + 'static {
    /// The share of the queue's weight that the item takes.
    fn weight(&self) -> usize;

    /// Whether the item is dropped before items that are not expendable.
    fn is_expendable(&self) -> bool;
}

/// The limits of a queue.
#[derive(Debug)]
pub(crate) struct Bounds<T> {
    pub(crate) items: usize,
    pub(crate) weight: usize,
    pub(crate) when_full: OverflowPolicy,
    /// Items for which this is false are not taken in.
    pub(crate) wanted: fn(&T) -> bool,
}

/// The policy for items that a reader does not take in time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OverflowPolicy {
    /// The oldest item is dropped. The default.
    #[default]
    DropOldest,
    /// The newest item is dropped.
    DropNewest,
    /// The plugin waits up to this long for each item. Then the newest item is dropped.
    Wait(Duration),
}

/// The queues to which the same items are published.
#[derive(Debug)]
pub(crate) struct Topic<T: Item> {
    queues: Arc<Queues<T>>,
}

type Queues<T> = Mutex<Vec<Arc<Queue<T>>>>;

/// The reading end of a queue.
#[derive(Debug)]
pub(crate) struct Reader<T: Item> {
    queue: Arc<Queue<T>>,
    /// The topic, as long as it exists.
    known: Weak<Queues<T>>,
}

#[derive(Debug)]
struct Queue<T> {
    state: Mutex<State<T>>,
    /// Notified when the reader has taken an item, or has been dropped.
    room: Notify,
}

#[derive(Debug)]
struct State<T> {
    items: VecDeque<T>,
    weight: usize,
    bounds: Bounds<T>,
    missed: u64,
    /// The waker of a reader that waits.
    waker: Option<Waker>,
    /// No further item will come.
    ended: bool,
    /// The reader has been dropped.
    reader_is_gone: bool,
}

impl<T: Item> Topic<T> {
    pub(crate) fn new() -> Self {
        Self { queues: Arc::default() }
    }

    /// Makes a reader of all items from now on.
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

    /// Whether there are readers.
    pub(crate) fn has_subscribers(&self) -> bool {
        !lock(&self.queues).is_empty()
    }

    /// Publishes an item to all readers without waiting.
    pub(crate) fn publish(&self, item: &T) {
        lock(&self.queues).retain(|queue| queue.publish(item));
    }

    /// Publishes an item to all readers, and waits for those whose policy is [`OverflowPolicy::Wait`].
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
    /// Adds an item as the limits allow. False if the reader has been dropped.
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

    /// The longest wait for the reader to make room for this item.
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
    /// Whether there is room. An item that is heavier than the limit fits into an empty queue, because its source has
    /// limited its size.
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

    /// Replaces the limits.
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

        /// Even numbers are expendable.
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
    async fn expendable_items_are_dropped_first_and_counted() {
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
    async fn other_items_are_dropped_only_for_items_of_their_kind() {
        let topic = Topic::new();
        let reader = topic.subscribe(bounds(2, OverflowPolicy::DropOldest));
        for number in [1, 3, 4, 5] {
            topic.publish(&Number(number));
        }
        assert_eq!(rest(topic, reader).await, (vec![3, 5], 2));
    }

    #[tokio::test]
    async fn a_heavy_item_takes_the_place_of_several() {
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
        assert_eq!(
            reader.next().await.map(|bytes| bytes.0),
            Some(1000),
            "an item that is too heavy comes alone"
        );
        assert_eq!(reader.missed(), 4);
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_reader_is_waited_for_within_the_limit() {
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
    async fn only_wanted_items_are_taken() {
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
    async fn dropped_readers_are_removed_without_another_item() {
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
