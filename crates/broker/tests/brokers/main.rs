//! Two brokers with each other, and one broker with peers of other implementations.

mod calls;
mod endings;
mod layers;
mod pair;
mod peers;
