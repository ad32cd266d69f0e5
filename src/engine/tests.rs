//! The engine as an adversary: answers of real engines changed at random, and an engine that answers whatever a test says.

mod fake;
mod recorded;
mod versions;
mod wrong;
